"""Escapes by reading: secrets at home, palaver's own files, other processes, what was inherited."""

from tests.escape.table import Escape

_KEY = "HOME / '.ssh/id'"
_SECRETS = {
    "an ssh key": f"show({_KEY})",
    "cloud credentials": "show(HOME / '.aws/credentials')",
    "a password file": "show(HOME / '.netrc')",
    "a password file by the name it links to": "show(OUTSIDE / 'dotfiles/netrc')",
    "palaver's store read": "show(HIDDEN / 'palaver.db')",
    ".env": "show(WS / '.env')",
    ".env.local": "show(WS / '.env.local')",
    "a key by /proc/self/root": f"show('/proc/self/root' + str({_KEY}))",
    "a key by another's root": f"k = {_KEY}; show(f'/proc/{{A.harness}}/root{{k}}')",
    "a key by another's cwd": "show(f'/proc/{A.harness}/cwd/../home/.ssh/id')",
    "a key by a hard link": f"os.link({_KEY}, WS / 'l'); show(WS / 'l')",
    "a key by a symlink": f"os.symlink({_KEY}, WS / 'l'); show(WS / 'l')",
    "a key after the folder was moved": "os.rename(HOME / '.ssh', HOME / 's'); show(HOME / 's/id')",
    "a key after the folder was opened up": f"(HOME / '.ssh').chmod(0o777); show({_KEY})",
    "a key by dots": "show('../home/.ssh/id')",
    "a key by unmounting what hides it": "libc.umount2(os.fsencode(HOME / '.ssh'), 2);"
    f" show({_KEY})",
    "a key by a program of the system": f"subprocess.run(['cat', {_KEY}], check=True)",
    "the environment": "print(os.environ)",
    "the environment of palaver": "print([w for w in Path(f'/proc/{A.harness}/environ')"
    ".read_bytes().split(b'\\0') if w.startswith(b'CANARY=')])",
    "the environment of any process": "for p in Path('/proc').glob('[0-9]*/environ'):\n"
    "  with contextlib.suppress(OSError):"
    " print([w for w in p.read_bytes().split(b'\\0') if w.startswith(b'CANARY=')])",
    "files that were inherited": "for n in range(3, 256):\n"
    "  with contextlib.suppress(OSError): print(os.pread(n, 4096, 0))",
    "files that palaver has open": "for p in Path(f'/proc/{A.harness}/fd').iterdir():\n"
    "  if 'palaver.db' in os.readlink(p): show(p)",
    "a file of palaver's, taken": "p = syscall(434, A.harness, 0)\n"
    "for n in range(3, 64):\n"
    "  with contextlib.suppress(OSError): print(os.pread(syscall(438, p, n, 0), 4096, 0))",
    "the memory of a process": "at = int(Path(A.address).read_text());"
    " f = os.open(f'/proc/{A.victim}/mem', os.O_RDONLY); print(os.pread(f, 64, at))",
    "the memory of a process, copied": "at = int(Path(A.address).read_text());"
    " b = ctypes.create_string_buffer(64); me = struct.pack('QQ', ctypes.addressof(b), 64);"
    " it = struct.pack('QQ', at, 64); syscall(either(310, 270), A.victim,"
    " ctypes.create_string_buffer(me), 1, ctypes.create_string_buffer(it), 1, 0); print(b.raw)",
    "the command lines of others": "for p in Path('/proc').glob('[0-9]*/cmdline'):\n"
    "  with contextlib.suppress(OSError):"
    " print(*p.read_bytes().split(b'--key')[1:])",
    "a file in /tmp": "show(A.in_tmp)",
    "a file in /dev/shm": "show(A.in_shm)",
    "System V shared memory": "libc.shmat.restype = ctypes.c_void_p;"
    " print(ctypes.string_at(libc.shmat(A.shm, None, 0o10000), 64))",
    "a System V message": "b = ctypes.create_string_buffer(128);"
    " checked(libc.msgrcv(A.queue, b, 100, 0, 0o4000)); print(b.raw)",
    "a POSIX message queue": "f = os.O_RDONLY | os.O_NONBLOCK;"
    " q = checked(libc.mq_open(A.mq.encode(), f));"
    " b = ctypes.create_string_buffer(8192); checked(libc.mq_receive(q, b, 8192, None));"
    " print(b.value)",
    "a key in the kernel's keyring": "k = syscall(either(250, 219), 10, -4, b'user',"
    " b'palaver-escape', 0); b = ctypes.create_string_buffer(64);"
    " syscall(either(250, 219), 11, k, b, 64); print(b.value)",
    "the store by a handle": "h = struct.pack('Ii', 128, 0) + bytes(128);"
    " h = ctypes.create_string_buffer(h, len(h)); m = ctypes.c_int();"
    " syscall(either(303, 264), -100, os.fsencode(HIDDEN / 'palaver.db'), h, ctypes.byref(m), 0);"
    " f = syscall(either(304, 265), os.open(HIDDEN, os.O_RDONLY), h, os.O_RDONLY);"
    " print(os.pread(f, 64, 0))",
}
_GOT = {
    "the system's passwords": "got('root:' in Path('/etc/shadow').read_text())",
    "the kernel's log": "b = ctypes.create_string_buffer(4096); got(libc.klogctl(3, b, 4096) > 0)",
    "the kernel's log as a device": "got(os.read(os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK),"
    " 9000))",
    "another's memory map": "got(Path(f'/proc/{A.victim}/maps').read_text())",
    "another's list of files": "got(os.listdir(f'/proc/{A.harness}/fd'))",
    "that palaver runs": "got(Path(f'/proc/{A.harness}/stat').read_text())",
}
ESCAPES = [Escape(name, code, "secret") for name, code in _SECRETS.items()]
ESCAPES += [Escape(name, code, "token") for name, code in _GOT.items()]
