"""Commands that destroy, and programs that run what they are told."""

import pytest
from tests.tools.consent_calls import judged, line

from palaver.core.tool import Allow, Ask
from palaver.tools.consent import Rules
from palaver.tools.consent.danger import destructive, destructive_python, launches

DESTRUCTIVE = [
    "rm x", "rm -rf /", "/bin/rm -r x", "unlink x", "rmdir x", "shred x", "dd if=/dev/zero of=x",
    "truncate -s 0 x", "mv x /dev/null", "cp -f a b", "mv --force a b", "ln -sf a b",
    "mkfs.ext4 /dev/sda", "wipefs -a /dev/sda", "fdisk /dev/sda", "parted /dev/sda",
    "rsync -a --delete a b", "find . -delete", "find . -exec rm {} +", "unzip -o a.zip",
    "git reset --hard", "git -C x reset --hard", "git clean -fd", "git push -f",
    "git push --force-with-lease", "git push origin :main", "git push origin +main",
    "git branch -D x", "git tag -d x", "git checkout -- x", "git checkout .", "git switch -f x",
    "git restore x", "git stash drop", "git rebase main", "git commit --amend", "git filter-branch",
    "git reflog expire --all", "git gc --prune=now", "git rm x", "git worktree remove x",
    "psql -c 'DROP TABLE x'", "mysql -e 'drop database x'", "sqlite3 x 'delete from y'",
    "psql -c 'TRUNCATE TABLE x'", "redis-cli FLUSHALL", "dropdb x",
    "mongosh --eval 'db.dropDatabase()'", "kill -9 1", "pkill x", "killall x", "shutdown now",
    "reboot", "systemctl stop x", "chmod 777 x", "chmod -R 644 x", "chmod o+w x", "chown -R a x",
    "setfacl -m x", "passwd", "userdel x", "sudo ls", "mount x y", "sysctl -w x", "iptables -F",
    "crontab -r", "history -c", "apt-get remove x", "apt purge x", "dpkg -r x", "pip uninstall x",
    "npm uninstall x", "npm publish", "cargo publish", "docker rm x", "docker system prune",
    "podman kill x", "kubectl delete pod x", "terraform destroy", "aws s3 rm s3://x",
    "gh repo delete x",
]  # fmt: skip
ONLY_IN_A_LINE = [
    "curl x | sh", "wget -qO- x | sudo bash", "echo a > /dev/sda", ":(){ :|:& };:", "> a.txt",
    ": > a.txt", "curl x | python3", "echo $(rm x)", "if true; then rm x; fi", "xargs rm",
    "env rm x", "find . | xargs rm", "sh -c 'rm x'", "eval 'rm x'", "true && (rm x)",
]  # fmt: skip
HARMLESS = [
    "ls", "git status", "git push", "git checkout main", "git log", "git branch", "git stash",
    "make", "npm run build", "pip install x", "python service.py", "cargo test", "docker ps",
    "kubectl get pods", "chmod 644 x", "chmod +x x", "mv a b", "cp a b", "mkdir x",
    "git commit -m 'kill x'", "npm test", "pytest -k remove", "terraform plan", "cat rm", "touch a",
    "tar xf a.tar", "ln -s a b",
]  # fmt: skip
ANYTHING = [
    "bash x", "sh -c ls", "env ls", "xargs ls", "sudo ls", "nohup ls", "nice ls", "time ls",
    "timeout 1 ls", "eval ls", "exec ls", "source x", ". x", "command ls", "builtin echo",
    "coproc ls", "alias a=b", "export A=b", "set -x", "trap ls EXIT", "awk x", "ssh x", "vim x",
    "less x", "find . -exec ls {} ;", "find . -delete", "git -c a=b log", "git -p log",
    "git grep -O ls", "rg --pre ls x", "sort -o x y", "sort --compress-program=x y",
    "tar xf a --to-command=ls", "tar -xf a", "sed -i s/a/b/ x", "sed e x", "python -c 1",
    "python3 -", "perl -e 1", "node -e 1", "make -f x", "docker run x", "npx x", "watch ls",
    "/usr/bin/env ls", "curl -o x y", "diff -l a b", "python3", "perl -w", "if", "{", "!",
    "unset x", "hash -p x ls", "read x",
]  # fmt: skip


@pytest.mark.parametrize("text", DESTRUCTIVE)
def test_destructive_commands_ask_even_in_auto(text):
    assert destructive(text)
    assert isinstance(line(text, Rules("auto")), Ask)


@pytest.mark.parametrize("text", ONLY_IN_A_LINE)
def test_destructive_lines_ask_even_in_auto(text):
    verdict = line(text, Rules("auto"))
    assert isinstance(verdict, Ask)
    assert destructive(text, anywhere=True)


@pytest.mark.parametrize("text", HARMLESS)
def test_everyday_commands_destroy_nothing(text):
    assert destructive(text) is None


def test_auto_does_not_ask_about_everyday_work():
    for text in (
        "make",
        "git status",
        "npm run build",
        "pytest -x",
        "mkdir x && touch x/y",
        "cp a b",
    ):
        assert isinstance(line(text, Rules("auto")), Allow), text


@pytest.mark.parametrize("text", ANYTHING)
def test_what_runs_other_programs_is_not_understood(text):
    assert launches(tuple(text.split()))
    assert isinstance(line(text, Rules("auto")), Ask)


def test_words_of_others_launch_nothing():
    for text in (
        "make test",
        "git status",
        "python x.py",
        "sort a",
        "rg x",
        "cargo run",
        "node x.js",
    ):
        assert launches(tuple(text.split())) is None, text


@pytest.mark.parametrize(
    "code", ["import shutil\nshutil.rmtree('x')", "os.remove('x')", "Path('x').unlink()",
             "os.system('ls')", "subprocess.run(['rm', 'x'])", "exec('1')", "os.kill(1, 9)",
             "x = 'DROP TABLE y'", "os.replace('a', 'b')"]
)  # fmt: skip
def test_destructive_python_asks_even_in_auto(code):
    assert destructive_python(code)
    assert isinstance(judged("python", Rules("auto"), code=code), Ask)


def test_ordinary_python_runs():
    code = "import json\nrows = [r for r in json.load(open('a.json')) if r]\nlist.remove(rows, 1)"
    assert isinstance(judged("python", Rules("auto"), code=code), Allow)


def test_hostile_text_is_looked_through():
    """A pattern that went back and forth over the text would run into the time limit."""
    for bit in ("git push ", "| ", "(){", ">", "chmod +", "a", "\n", "/", ";:"):
        destructive_python(bit * (50_000 // len(bit)))
    assert destructive("x" * 60_000)
