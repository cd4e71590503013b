"""Escapes by reaching out: networks, sockets, other processes, the terminal, living on."""

from tests.escape.table import Escape

_HEARD = {
    "TCP": "connect(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', A.tcp))",
    "TCP by IPv6": "connect(socket.AF_INET6, socket.SOCK_STREAM, ('::1', A.tcp6))",
    "TCP by a mapped address": "connect(socket.AF_INET6, socket.SOCK_STREAM,"
    " ('::ffff:127.0.0.1', A.tcp))",
    "TCP by the name of this computer": "connect(socket.AF_INET, socket.SOCK_STREAM,"
    " ('localhost', A.tcp))",
    "TCP by address zero": "connect(socket.AF_INET, socket.SOCK_STREAM, ('0.0.0.0', A.tcp))",
    "TCP on many paths": "connect(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', A.tcp), 262)",
    "TCP with data in its first packet": "s = socket.socket();"
    " s.sendto(A.token.encode(), 0x20000000, ('127.0.0.1', A.tcp)); s.close()",
    "TCP by the shell": "subprocess.run(['bash', '-c',"
    " f'echo {A.token} > /dev/tcp/127.0.0.1/{A.tcp}'], check=True)",
    "UDP": "connect(socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', A.udp))",
    "UDP unconnected": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
    ".sendto(A.token.encode(), ('127.0.0.1', A.udp))",
    "UDP by the shell": "subprocess.run(['bash', '-c',"
    " f'echo {A.token} > /dev/udp/127.0.0.1/{A.udp}'], check=True)",
    "a unix socket": "connect(socket.AF_UNIX, socket.SOCK_STREAM, A.stream)",
    "a unix socket by a short name": "os.chdir(Path(A.stream).parent);"
    " connect(socket.AF_UNIX, socket.SOCK_STREAM, Path(A.stream).name)",
    "a unix datagram": "connect(socket.AF_UNIX, socket.SOCK_DGRAM, A.dgram)",
    "a unix datagram from a pair": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]"
    ".sendto(A.token.encode(), A.dgram)",
    "a unix datagram from a raw pair": "socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)[0]"
    ".sendto(A.token.encode(), A.dgram)",
    "an abstract socket": "connect(socket.AF_UNIX, socket.SOCK_STREAM, '\\0' + A.abstract)",
    "a socket in /tmp": "connect(socket.AF_UNIX, socket.SOCK_STREAM, A.stream_in_tmp)",
    "the user's terminal": "os.write(os.open(A.terminal, os.O_WRONLY | os.O_NOCTTY),"
    " A.token.encode())",
    "typing on the user's terminal": "f = os.open(A.terminal, os.O_RDWR | os.O_NOCTTY)\n"
    "for c in A.token.encode(): fcntl.ioctl(f, 0x5412, bytes([c]))",
    "a pipe with a name": "f = os.open(A.fifo, os.O_WRONLY | os.O_NONBLOCK);"
    " os.write(f, A.token.encode())",
    "a System V message sent": "b = ctypes.create_string_buffer(struct.pack('l', 2)"
    " + A.token.encode()); checked(libc.msgsnd(A.queue, b, len(A.token), 0))",
}
_VICTIM = {
    "kill": "os.kill(A.victim, 9)",
    "kill of a group": "os.killpg(A.victim, 9)",
    "kill of a thread": "syscall(either(234, 131), A.victim, A.victim, 9)",
    "kill by a descriptor": "signal.pidfd_send_signal(os.pidfd_open(A.victim), 9)",
    "kill with a value": "b = ctypes.create_string_buffer(struct.pack('iii', 9, 0, -1), 128);"
    " syscall(either(129, 138), A.victim, 9, b)",
    "stop": "os.kill(A.victim, signal.SIGSTOP)",
    "kill by a program": "subprocess.run(['sh', '-c', f'kill -9 {A.victim}'], check=True)",
    "priority": "os.setpriority(os.PRIO_PROCESS, A.victim, 15)",
    "scheduling": "os.sched_setscheduler(A.victim, os.SCHED_IDLE, os.sched_param(0))",
    "processors": "os.sched_setaffinity(A.victim, {min(os.sched_getaffinity(0))})",
    "limits": "resource.prlimit(A.victim, resource.RLIMIT_NOFILE, (11, 11))",
    "choice for the out-of-memory killer": "Path(f'/proc/{A.victim}/oom_score_adj')"
    ".write_text('1000')",
    "tracing": "checked(libc.ptrace(16, A.victim, None, None)); os.waitpid(A.victim, 0x40000000);"
    " libc.ptrace(8, A.victim, None, None)",
    "memory": "at = int(Path(A.address).read_text());"
    " os.pwrite(os.open(f'/proc/{A.victim}/mem', os.O_RDWR), b'OVERWRITTEN', at)",
    "memory, copied": "at = int(Path(A.address).read_text());"
    " b = ctypes.create_string_buffer(b'OVERWRITTEN'); me = struct.pack('QQ',"
    " ctypes.addressof(b), 11); it = struct.pack('QQ', at, 11); syscall(either(311, 271),"
    " A.victim, ctypes.create_string_buffer(me), 1, ctypes.create_string_buffer(it), 1, 0)",
}
_LIVES = "['sh', '-c', f'exec sleep {A.sleep}']"
_ALIVE = {
    "a child": f"subprocess.Popen({_LIVES})",
    "a session of its own": f"subprocess.Popen({_LIVES}, start_new_session=True)",
    "a daemon": "if os.fork(): os.waitpid(-1, 0); os._exit(0)\n"
    f"os.setsid()\nif os.fork(): os._exit(0)\nsubprocess.Popen({_LIVES})",
    "deaf to signals": "for n in (1, 2, 3, 13, 15): signal.signal(n, signal.SIG_IGN)\n"
    f"subprocess.Popen({_LIVES}, start_new_session=True)",
    "after its parent has stopped": f"p = subprocess.Popen({_LIVES}, start_new_session=True);"
    " time.sleep(0.2); p.send_signal(signal.SIGSTOP)",
    "with all files closed": f"subprocess.Popen({_LIVES}, start_new_session=True,"
    " stdin=-3, stdout=-3, stderr=-3)",
    "by nohup": "subprocess.Popen(['nohup', 'setsid', 'sleep', A.sleep])",
}
ESCAPES = [Escape(f"reach: {name}", code, "heard") for name, code in _HEARD.items()]
ESCAPES += [Escape(f"victim: {name}", code, "victim") for name, code in _VICTIM.items()]
ESCAPES += [Escape(f"live on: {name}", code, "alive") for name, code in _ALIVE.items()]
