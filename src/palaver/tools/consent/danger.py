"""Commands that destroy what can't be brought back, and programs that run what they are told.

The first ask even in the preset `auto`. It is a list of the usual ways, found by their words, not
a wall: what runs is kept in its place by the sandbox. It errs on the side of asking, so that
`echo "rm -rf /"` asks as well.
"""

from __future__ import annotations

import re
from functools import cache

# What is said :: the programs, * for any text :: what follows them, in this order.
_DESTRUCTIVE = r"""
deletes files :: rm unlink rmdir shred srm wipe trash ::
overwrites a disk or file :: dd :: \bof=
empties files :: truncate ::
throws files away :: mv :: /dev/null
overwrites files :: cp install ln mv :: \s(-\w*f\w*|--force)\b
makes a file system :: mkfs mkfs.\w+ mke2fs mkswap wipefs newfs ::
changes partitions :: fdisk sfdisk gdisk sgdisk cfdisk parted diskutil blkdiscard hdparm ::
changes volumes :: lvremove lvreduce vgremove pvremove cryptsetup mdadm zpool zfs btrfs ::
deletes at the other end :: rsync :: \s--(del|remove-source-files)
overwrites or deletes files :: tar bsdtar gtar :: \s--(overwrite|recursive-unlink|remove-files)
overwrites files :: unzip :: \s-\w*o
deletes what it finds :: find fd :: \s(-delete|-exec\S*|-ok\S*|-x|-X)\b
drops changes :: git :: \breset\b .. --(hard|merge|keep)\b
deletes untracked files :: git :: \bclean\b
overwrites what others have :: git :: \bpush\b .. \s(-\w*[fd]|--(force|delete|mirror|prune)|[+:]\S)
deletes branches or tags :: git :: \b(branch|tag)\b .. \s(-\w*[dDM]|--delete)\b
removes what git keeps :: git :: \b(remote|worktree|submodule)\b .. \s(remove|rm|deinit|prune)\b
drops changes :: git :: \b(checkout|switch)\b .. \s(-f|--force|--discard-changes|--|\.)(\s|$)
drops changes :: git :: \b(restore|rm|read-tree|checkout-index)\b
drops changes :: git :: \bstash\b .. \b(drop|clear|pop)\b
rewrites history :: git :: \b(rebase|filter-branch|filter-repo|replace|update-ref|fast-import)\b
rewrites history :: git :: \bcommit\b .. --amend\b
deletes what could be brought back :: git :: \b(reflog|gc|prune)\b
drops a database :: dropdb dropuser ::
drops a database :: mysqladmin :: \bdrop\b
drops what a database holds :: * :: \bdrop\s+(table|database|schema|index|view|user|role|column)\b
empties a table :: * :: \btruncate\s+table\b
deletes rows :: * :: \bdelete\s+from\b
changes a table :: * :: \balter\s+table\b
empties a store :: * :: \b(flushall|flushdb|dropdatabase|deletemany)\b
ends processes :: kill pkill killall killall5 skill fuser ::
ends the machine's work :: shutdown reboot halt poweroff telinit init ::
starts or stops services :: systemctl service launchctl rc-service initctl ::
forks without end :: * :: \(\s{0,9}\)\s{0,9}\{[^}|]{0,99}\|[^}&]{0,99}&
opens files to everyone :: chmod :: \s([0-7]*[2367]\b|[ugoa]*\+\w*[wst])
changes rights of many files :: chmod :: \s(-\w*R|--recursive)
changes owners or rights :: chown chgrp setfacl chattr setcap ::
changes users :: passwd chpasswd useradd usermod userdel groupdel groupmod adduser deluser ::
changes users :: visudo chsh chfn vipw vigr ::
takes more rights :: sudo doas su pkexec runuser ::
changes the running system :: insmod rmmod modprobe sysctl kexec swapoff swapon ::
changes the running system :: mount umount losetup ::
changes the network :: iptables ip6tables nft ufw pfctl firewall-cmd ifconfig ip route ::
changes scheduled jobs :: crontab at batch atrm ::
forgets what was typed :: history :: \s-\w*[cdw]
removes packages :: apt apt-get aptitude dnf yum zypper :: \s(remove|purge|auto|erase)
removes packages :: brew apk snap flatpak :: \s(remove|rm|del|un)
removes packages :: pacman dpkg rpm :: \s-\w*[rRPe]
removes packages :: dpkg :: --(remove|purge)\b
removes packages :: pip pip3 npm pnpm yarn cargo gem conda uv :: \b(un\w+|remove|yank)\b
publishes :: npm pnpm yarn cargo gem twine poetry uv hatch :: \b(publish|upload|push)\b
ends or deletes containers :: docker podman nerdctl :: \b(rmi?|prune|kill|down|stop)\b
ends or deletes containers :: docker-compose :: \b(rm|kill|down|stop)\b
changes a cluster :: kubectl oc helm :: \b(delete|apply|replace|drain|uninstall|rollback)\b
changes a cloud :: terraform tofu pulumi vagrant :: \b(destroy|apply|up|taint)\b
changes a cloud :: aws gcloud az doctl heroku flyctl :: \b(delete|destroy|r[mb]|remove|term\w+)\b
deletes at the other end :: gh glab :: \b(delete|remove|archive)\b
writes to a device :: * :: >\s{0,9}/dev/(?!null|stdout|stderr|tty|fd/)
empties a file :: * :: (^|[;&|]\s{0,9}):?\s{0,9}>\s{0,9}[^&>\s]
runs what comes through the pipe :: * :: \|&?\s{0,9}(\S*/)?((ba|da|z|k|fi|c|tc|a)?sh)\b
runs what comes through the pipe :: * :: \|&?\s{0,9}(\S*/)?(python[0-9.]*|perl|ruby|node|php)\b
"""
_IN_PYTHON = r"""
deletes files :: * :: \b(rmtree|removedirs|rmdir|unlink)\b|\bos\.remove\b
overwrites files :: * :: \b(os|shutil)\.(rename|replace|move|truncate)\b
starts programs :: * :: \bsubprocess\b|\bos\.(system|popen|exec\w+|\w*spawn\w+|fork\w*)\b|\bpty\b
ends processes :: * :: \bos\.kill(pg)?\b
hides what it does :: * :: \b(exec|eval|compile|__import__)\s{0,9}\(|\bmarshal\b|\bb64decode\b
"""
_MOST = 50_000  # characters
_Row = tuple[str, re.Pattern[str], tuple[re.Pattern[str], ...]]


@cache
def _rows(table: str, anywhere: bool) -> tuple[_Row, ...]:
    rows = []
    for line in table.strip().splitlines():
        said, programs, rest = line.split(" ::")
        names = "|".join(programs.split())
        # `anywhere`: also after what joins or starts commands, or in quotes.
        start = r"(?:^|[\s;&|(){}`'\"$/=!\[])" if anywhere else r"^(?:\S*/)?"
        head = "" if names == "*" else rf"{start}(?:{names})(?=$|[\s;&|)}}`'\"<>])"
        parts = tuple(re.compile(part, re.IGNORECASE) for part in rest.strip().split(" .. "))
        rows.append((said, re.compile(head, re.IGNORECASE), parts))
    return tuple(rows)


def destructive(text: str, *, anywhere: bool = False) -> str | None:
    """Say what a command would destroy, None where no pattern fits.

    `text` is one command, its words joined; with `anywhere` it is any text that may hold one.
    """
    return _found(_rows(_DESTRUCTIVE, anywhere), text)


def destructive_python(code: str) -> str | None:
    """Say what Python code would destroy, by itself or by a command that it holds as text."""
    return _found(_rows(_IN_PYTHON, False), code) or destructive(code, anywhere=True)


def _found(rows: tuple[_Row, ...], text: str) -> str | None:
    if len(text) > _MOST:
        return "is too long to be looked through"
    for line in filter(str.strip, text.splitlines()):
        for said, head, parts in rows:
            at = 0
            for pattern in (head, *parts):  # one by one: `.*` between them would be slow
                match = pattern.search(line, at)
                if match is None:
                    break
                at = match.end()
            else:
                return said
    return None


_ANYTHING = """
sh bash dash zsh ksh mksh fish csh tcsh ash busybox toybox rbash pwsh
env xargs parallel sudo doas su runuser pkexec nohup nice ionice chrt taskset time timeout
stdbuf unbuffer setsid setpriv setarch unshare nsenter chroot fakeroot proot bwrap firejail
strace ltrace gdb lldb perf valgrind script watch entr flock start-stop-daemon systemd-run
daemonize dtach screen tmux expect at batch crontab run-parts cpulimit prlimit
eval exec source . command builtin trap coproc alias unalias hash enable shopt set export
declare typeset local readonly unset let read mapfile readarray getopts pushd popd ulimit umask
if then else elif fi for while until do done case esac select function in ! { } [[ ]] [ time
awk gawk mawk nawk original-awk ed ex vi vim nvim view emacs nano less more most man info pg
ssh scp sftp mosh telnet rsync socat nc ncat docker podman nerdctl kubectl lxc vagrant
npx bunx uvx pipx osascript open xdg-open dbus-send gdbus ldd ld.so
"""
_LAUNCHERS = frozenset(_ANYTHING.split())
# Programs that run others with these options alone; a value may follow in the same word.
_WITH_OPTIONS = {
    "find": r"-(exec|execdir|ok|okdir|delete|fprint0?|fprintf|fls|files0-from)",
    "fd": r"-[xX]|--exec.*|-[a-zA-Z]*[xX]",
    "git": r"-c.*|--config-env.*|--exec-path.*|-C.*|--git-dir.*|--work-tree.*|-p|--paginate"
    r"|--upload-pack.*|--receive-pack.*|--exec.*|--ext-diff|--textconv|--output.*|-x.*|-O.*"
    r"|--open-files-in-pager.*|--template.*",
    "rg": r"--pre(=.*)?|--hostname-bin.*|-z|--search-zip",
    "sort": r"-\w*[oTS].*|--(o|comp|temp|files0).*",
    "tar": r"-\w*[IF].*|--(to-c|checkpoint|use-c|I|rsh|rmt|info-s|new-v).*|-\w*[ixc]\w*|[xc]\w*",
    "sed": r".*",
    "diff": r"-l|--paginate",
    "python": r"-\w*[cm].*|-",
    "perl": r"-\w*[eEiM].*|-",
    "ruby": r"-\w*[er].*|-",
    "node": r"-[epr].*|--(eval|print|require|import).*|-",
    "php": r"-[rB].*",
    "lua": r"-[el].*|-",
    "zip": r"-\w*T.*|--unzip-command.*",
    "gcc": r"-wrapper.*|-fplugin.*|-specs.*|@.*",
    "make": r"-\w*f.*|--(eval|file|makefile).*|\w+=.*",
    "curl": r"-\w*[KoO].*|--(config|output|remote-name).*",
    "wget": r"--use-askpass.*|-\w*[eO].*|--(execute|output-document).*",
}
_INTERPRETERS = frozenset(["python", "perl", "ruby", "node", "php", "lua", "Rscript", "tclsh"])
_ALSO = """
python3=python python2=python g++=gcc cc=gcc clang=gcc c++=gcc luajit=lua deno=node bun=node
gtar=tar bsdtar=tar gsed=sed fdfind=fd gmake=make
"""
_SAME = dict(pair.split("=") for pair in _ALSO.split())


def launches(words: tuple[str, ...]) -> str | None:
    """Say why what a command would do can't be told from its words, None where it can."""
    if not words:
        return None
    name = words[0].rpartition("/")[2].lower()
    if name in _LAUNCHERS:
        return f"`{words[0]}` may run anything"
    name = _SAME.get(name, name)
    if name in _INTERPRETERS and all(word.startswith("-") for word in words[1:]):
        return f"`{words[0]}` runs what it reads"
    known = _WITH_OPTIONS.get(name)
    if known is None:
        return None
    option = next((word for word in words[1:] if re.fullmatch(known, word, re.DOTALL)), None)
    return f"`{words[0]} {option}` may run or write anything" if option is not None else None
