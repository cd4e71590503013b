"""Escapes by the kernel: mounts, namespaces, devices, settings, rare calls, limits."""

from tests.escape.table import Escape

_CHANGES = {
    "mounting the outside into the workspace": "own_mounts(); (WS / 'm').mkdir();"
    " mount(OUTSIDE, WS / 'm', None, 4096); (WS / 'm/victim').write_text('x')",
    "mounting by the newer calls": "own_mounts(); (WS / 'm').mkdir();"
    " f = syscall(428, -100, os.fsencode(OUTSIDE), 1);"
    " syscall(429, f, b'', -100, os.fsencode(WS / 'm'), 4); (WS / 'm/victim').write_text('x')",
    "remounting all writable": "own_mounts(); mount(None, '/', None, 32 | 4096);"
    " VICTIM.write_text('x')",
    "remounting all writable by the newer call": "own_mounts();"
    " b = ctypes.create_string_buffer(struct.pack('QQQQ', 0, 1, 0, 0), 32);"
    " syscall(442, -100, b'/', 0x8000, b, 32); VICTIM.write_text('x')",
    "unmounting what protects": "own_mounts(); libc.umount2(os.fsencode(WS / '.git'), 2);"
    " (WS / '.git/config').write_text('evil')",
    "an overlay": "own_mounts(); [(WS / n).mkdir() for n in 'uwm'];"
    " checked(libc.mount(b'o', os.fsencode(WS / 'm'), b'overlay', ctypes.c_ulong(0),"
    " f'lowerdir={WS}/u,upperdir={OUTSIDE},workdir={OUTSIDE}/../work'.encode()));"
    " (WS / 'm/new').write_text('x')",
    "out of a changed root": "(WS / 'r').mkdir(); os.chroot(WS / 'r')\n"
    "for _ in range(30): os.chdir('..')\n"
    "os.chroot('.'); VICTIM.write_text('x')",
    "another's mounts": "f = os.open(f'/proc/{A.harness}/ns/mnt', os.O_RDONLY);"
    " checked(libc.setns(f, 0x20000)); VICTIM.write_text('x')",
    "another's mounts by its process": "checked(libc.setns(os.pidfd_open(A.harness), 0x20000));"
    " VICTIM.write_text('x')",
    "a file by its handle": "h = struct.pack('Ii', 128, 0) + bytes(128);"
    " h = ctypes.create_string_buffer(h, len(h)); m = ctypes.c_int();"
    " syscall(either(303, 264), -100, os.fsencode(VICTIM), h, ctypes.byref(m), 0);"
    " f = syscall(either(304, 265), os.open(OUTSIDE, os.O_RDONLY), h, os.O_RDWR);"
    " os.write(f, b'x')",
    "a setting of the kernel": "Path(A.sysctl).write_text(str(A.number))",
    "a setting in /sys": "Path(A.sysfs).write_text(str(A.number))",
    "a group in the hierarchy": "Path(A.cgroup).mkdir()",
}
_GOT = {
    "a user namespace": "unshare(0x10000000); got()",
    "a mount namespace": "own_mounts(); got()",
    "a network namespace": "unshare(0x10000000 | 0x40000000); got()",
    "a namespace by clone": "p = syscall(either(56, 220), 0x10000000 | 17, 0, 0, 0, 0)\n"
    "if p == 0: os._exit(0)\n"
    "got(os.waitpid(p, 0))",
    "a namespace by clone3": "b = ctypes.create_string_buffer("
    "struct.pack('QQQQQQQQ', 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64)\n"
    "p = syscall(435, b, 64)\n"
    "if p == 0: os._exit(0)\n"
    "got(os.waitpid(p, 0))",
    "another's network": "f = os.open(f'/proc/{A.harness}/ns/net', os.O_RDONLY);"
    " checked(libc.setns(f, 0x40000000)); got()",
    "a device node": "os.mknod(WS / 'd', 0o020600, os.makedev(1, 5));"
    " got(os.read(os.open(WS / 'd', os.O_RDONLY), 1))",
    "a disk": "os.mknod(WS / 'd', 0o060600, Path(A.root).stat().st_dev);"
    " got(os.read(os.open(WS / 'd', os.O_RDONLY), 512))",
    "io_uring": "b = ctypes.create_string_buffer(120); got(syscall(425, 4, b) >= 0)",
    "bpf": "b = ctypes.create_string_buffer(struct.pack('IIII', 2, 4, 4, 1), 120);"
    " got(syscall(either(321, 280), 0, b, 120) >= 0)",
    "perf events": "b = ctypes.create_string_buffer("
    "struct.pack('IIQQQQQ', 1, 128, 0, 0, 0, 0, 0x61), 128);"
    " got(syscall(either(298, 241), b, 0, -1, -1, 0) >= 0)",
    "userfaultfd": "got(syscall(either(323, 282), 1 | 0o2000000) >= 0)",
    "fanotify": "got(syscall(either(300, 262), 0x200, 0) >= 0)",
    "a new key": "got(syscall(either(248, 217), b'user', b'x', b'y', 1, -4) > 0)",
    "comparing processes": "got(syscall(either(312, 272), os.getpid(), A.victim, 0, 0, 0) >= 0)",
    "another layout of memory": "got(checked(libc.personality(0x0040000)) >= 0)",
    "a packet socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW); got()",
    "a raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); got()",
    "a vsock": "socket.socket(40, socket.SOCK_STREAM); got()",
    "the kernel's ciphers": "socket.socket(38, socket.SOCK_SEQPACKET); got()",
    "the kernel's device messages": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15); got()",
    "the kernel's audit": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9); got()",
    "a socket by the 32-bit entry": "code = bytes.fromhex("
    "'5389f889f389d1cd805bc3');"  # push rbx; mov eax,edi; mov ebx,esi; mov ecx,edx; int 0x80
    " m = mmap.mmap(-1, 4096, prot=7); m.write(code);"
    " f = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)("
    "ctypes.addressof(ctypes.c_char.from_buffer(m))); got(f(359, 1, 1) > 0)",
    "a call of the x32 ABI": "got(syscall(0x40000000 + 39) > 0)",
    "the rights of another": "assert os.geteuid(); p = subprocess.Popen(['su'],"
    " stdin=subprocess.PIPE); time.sleep(0.3);"
    " print(A.token if '\\t0\\t' in Path(f'/proc/{p.pid}/status').read_text().split('Uid:')[1]"
    ".split('\\n')[0] + '\\t' else 'no'); p.kill()",
    "a changed root": "(WS / 'r').mkdir(); os.chroot(WS / 'r'); got()",
    "a higher priority": "os.nice(-5); got()",
    "real-time scheduling": "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); got()",
    "more files than the limit": "b = bytes(1 << 20)\n"
    "with open(WS / 'big', 'wb') as f:\n"
    "  for _ in range(40): f.write(b)\n"
    "got()",
    "a sparse file": "os.truncate(os.open(WS / 'big', os.O_CREAT | os.O_RDWR), 20 << 30); got()",
    "a sparse file after raising the limit": "i = resource.RLIM_INFINITY;"
    " resource.setrlimit(resource.RLIMIT_FSIZE, (i, i));"
    " os.truncate(os.open(WS / 'big', os.O_CREAT | os.O_RDWR), 20 << 30); got()",
    "filling the temporary folder": "b = bytes(1 << 20)\n"
    "try:\n"
    "  for n in range(4):\n"
    "    with open(f'/tmp/palaver-{A.token}-{n}', 'wb') as f:\n"
    "      for _ in range(12): f.write(b)\n"
    "  got()\n"
    "finally:\n"
    "  for p in Path('/tmp').glob(f'palaver-{A.token}-*'): p.unlink()",
    "more memory than the limit": "b = bytearray(900 << 20); got()",
    "more memory after raising the limit": "i = resource.RLIM_INFINITY;"
    " resource.setrlimit(resource.RLIMIT_DATA, (i, i)); b = bytearray(900 << 20); got()",
    "more processes than the limit": "n = 0\n"
    "try:\n"
    "  while n < 200:\n"
    "    p = os.fork()\n"
    "    if not p: time.sleep(60); os._exit(0)\n"
    "    n += 1\n"
    "  got()\n"
    "finally:\n"
    "  signal.signal(15, signal.SIG_IGN); os.killpg(0, 15)",
}
ESCAPES = [Escape(f"kernel: {name}", code) for name, code in _CHANGES.items()]
ESCAPES += [Escape(f"kernel: {name}", code, "token") for name, code in _GOT.items()]
