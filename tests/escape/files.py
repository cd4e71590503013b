"""Escapes by files: writing beside the workspace, what is kept in it, set-user-ID."""

from tests.escape.table import Escape

_SIMPLE = {
    "write": "VICTIM.write_text('x')",
    "append": "VICTIM.open('a').write('x')",
    "truncate": "os.truncate(VICTIM, 1)",
    "ftruncate longer": "os.ftruncate(os.open(VICTIM, os.O_RDWR), 1 << 20)",
    "create": "(OUTSIDE / 'new').touch()",
    "unlink": "VICTIM.unlink()",
    "rename out": "(WS / 'mine').touch(); os.rename(WS / 'mine', OUTSIDE / 'new')",
    "rename in": "os.rename(VICTIM, WS / 'stolen')",
    "rename over": "(WS / 'mine').touch(); os.rename(WS / 'mine', VICTIM)",
    "exchange": "(WS / 'mine').touch(); syscall(either(316, 276), -100,"
    " os.fsencode(WS / 'mine'), -100, os.fsencode(VICTIM), 2)",
    "through a symlink": "os.symlink(VICTIM, WS / 'l'); (WS / 'l').write_text('x')",
    "through a symlink to the folder": "os.symlink(OUTSIDE, WS / 'l');"
    " (WS / 'l' / 'new').write_text('x')",
    "through a hard link": "os.link(VICTIM, WS / 'l'); (WS / 'l').write_text('x')",
    "by dots": "Path('../outside/victim').write_text('x')",
    "by a folder's descriptor": "d = os.open('..', os.O_PATH);"
    " os.write(os.open('outside/victim', os.O_WRONLY, dir_fd=d), b'x')",
    "by /proc/self/root": "Path('/proc/self/root' + str(VICTIM)).write_text('x')",
    "by /proc/self/cwd": "Path('/proc/self/cwd/../outside/victim').write_text('x')",
    "by another's root": "Path(f'/proc/{A.harness}/root{VICTIM}').write_text('x')",
    "by another's cwd": "Path(f'/proc/{A.harness}/cwd/../outside/victim').write_text('x')",
    "by reopening what was opened to read": "f = os.open(VICTIM, os.O_RDONLY);"
    " Path(f'/proc/self/fd/{f}').write_text('x')",
    "by a shared mapping": "m = mmap.mmap(os.open(VICTIM, os.O_RDWR), 4); m[0:1] = b'X'; m.flush()",
    "by copy_file_range": "(WS / 'mine').write_text('x'); os.copy_file_range("
    "os.open(WS / 'mine', os.O_RDONLY), os.open(VICTIM, os.O_WRONLY), 1)",
    "by a file without a name": "f = os.open(OUTSIDE, os.O_TMPFILE | os.O_RDWR);"
    " checked(libc.linkat(-100, f'/proc/self/fd/{f}'.encode(), -100,"
    " os.fsencode(OUTSIDE / 'new'), 0x400))",
    "by a file without a name in the workspace": "f = os.open(WS, os.O_TMPFILE | os.O_RDWR);"
    " checked(libc.linkat(-100, f'/proc/self/fd/{f}'.encode(), -100,"
    " os.fsencode(OUTSIDE / 'new'), 0x400))",
    "by a shell's redirection": "subprocess.run(['sh', '-c', f'echo x > {VICTIM}'], check=True)",
    "by a program of the system": "subprocess.run(['cp', '/etc/hostname', VICTIM], check=True)",
    "chmod": "VICTIM.chmod(0o777)",
    "chmod by descriptor": "os.fchmod(os.open(VICTIM, os.O_RDONLY), 0o777)",
    "chmod by /proc/self/fd": "f = os.open(VICTIM, os.O_PATH);"
    " os.chmod(f'/proc/self/fd/{f}', 0o777)",
    "chmod of the folder": "OUTSIDE.chmod(0o777)",
    "chown": "os.chown(VICTIM, os.getuid(), os.getgid())",
    "chown by descriptor": "os.fchown(os.open(VICTIM, os.O_RDONLY), os.getuid(), os.getgid())",
    "utime": "os.utime(VICTIM, (1, 1))",
    "utime by descriptor": "os.utime(os.open(VICTIM, os.O_RDONLY), (1, 1))",
    "setxattr": "os.setxattr(VICTIM, 'user.new', b'x')",
    "setxattr by descriptor": "os.setxattr(os.open(VICTIM, os.O_RDONLY), 'user.new', b'x')",
    "removexattr": "os.removexattr(VICTIM, 'user.old')",
    "file flags": "f = os.open(VICTIM, os.O_RDONLY);"
    " fcntl.ioctl(f, 0x40086602, struct.pack('l', 0x40))",
    "mkdir": "(OUTSIDE / 'new').mkdir()",
    "rmdir": "(OUTSIDE / 'empty').rmdir()",
    "rename of the folder": "os.rename(OUTSIDE, OUTSIDE.parent / 'away')",
    "symlink": "os.symlink('x', OUTSIDE / 'new')",
    "link of what is outside": "os.link(VICTIM, OUTSIDE / 'new')",
    "fifo": "os.mkfifo(OUTSIDE / 'new')",
    "socket file": "socket.socket(socket.AF_UNIX).bind(str(OUTSIDE / 'new'))",
    "start-up file of the shell": "(HOME / '.bashrc').open('a').write('evil')",
    "autostart": "(HOME / '.config/autostart').mkdir(parents=True)",
    "sitecustomize at home": "(HOME / '.local/lib').mkdir(parents=True)",
    "authorized_keys": "(HOME / '.ssh/authorized_keys').write_text('evil')",
    "palaver's settings": "(HIDDEN / 'config.toml').write_text('evil')",
    "palaver's store": "(HIDDEN / 'palaver.db').unlink()",
    "removing the secrets": "import shutil; shutil.rmtree(HOME / '.ssh')",
    "a hook of git": "(WS / '.git/hooks/pre-commit').write_text('evil')",
    "a new hook folder of git": "(WS / '.git/hooks2').mkdir()",
    "git's settings": "(WS / '.git/config').open('a').write('[core]\\nfsmonitor = evil\\n')",
    "git's common folder": "(WS / '.git/commondir').write_text('../evil')",
    "git's folder moved": "os.rename(WS / '.git', WS / 'git2'); (WS / '.git').mkdir()",
    "git's folder exchanged": "(WS / 'evil').mkdir(); syscall(either(316, 276), -100,"
    " os.fsencode(WS / 'evil'), -100, os.fsencode(WS / '.git'), 2)",
    "git's folder removed": "import shutil; shutil.rmtree(WS / '.git')",
    "a hook made executable": "(WS / '.git/hooks/sample').chmod(0o755)",
    ".env rewritten": "(WS / '.env').write_text('URL=http://evil')",
    ".env replaced": "(WS / 'evil').touch(); os.rename(WS / 'evil', WS / '.env')",
}
_SET_ID = {
    "set-user-ID by chmod": "(WS / 's').touch(); (WS / 's').chmod(0o4755)",
    "set-user-ID by fchmod": "os.fchmod(os.open(WS / 's', os.O_CREAT | os.O_RDWR), 0o4755)",
    "set-user-ID by open": "os.open(WS / 's', os.O_CREAT | os.O_RDWR, 0o4755)",
    "set-user-ID by fchmodat2": "(WS / 's').touch();"
    " syscall(452, -100, os.fsencode(WS / 's'), 0o4755, 0)",
    "set-user-ID by openat2": "how = ctypes.create_string_buffer("
    "struct.pack('QQQ', os.O_CREAT | os.O_RDWR, 0o4755, 0), 24);"
    " syscall(437, -100, os.fsencode(WS / 's'), how, 24)",
    "set-user-ID by mknod": "os.mknod(WS / 's', 0o104755)",
    "set-group-ID by chmod": "(WS / 's').touch(); (WS / 's').chmod(0o2755)",
}
ESCAPES = [Escape(name, code) for name, code in _SIMPLE.items()]
ESCAPES += [Escape(name, code, "setid") for name, code in _SET_ID.items()]
