"""
Programs that try to get out, to stay, to disturb others, or to pass without being right.

Each prints `ESCAPED` when it has done something that it must not be able to do; what it may have done unseen is looked
for on the host by the test. `{...}` is filled in by the test: `tcp`, `udp` and `abstract` are servers of the host,
`secret` is a file that anybody may read, `written` a path in a directory that anybody may write to, `mark` a text that
names the processes, files and sockets of this program, `pid` a process of the host.
"""

from __future__ import annotations

from dataclasses import dataclass

from reflection_trl.sandbox import Limits, Status


MIB = 1 << 20
OK, FAILED, TIMEOUT, MEMORY = Status.OK, Status.FAILED, Status.TIMEOUT, Status.MEMORY
OUTPUT, SIGNAL = Status.OUTPUT_LIMIT, Status.SIGNAL
SHORT = Limits(timeout=2.0, memory=256 * MIB, disk=32 * MIB, output=256 << 10)
# For programs that do from their beginning what only this limit ends
ENDLESS = Limits(timeout=1.0, memory=256 * MIB, disk=32 * MIB, output=256 << 10)
LIMITS = Limits(timeout=20.0, memory=256 * MIB, disk=32 * MIB, output=256 << 10)


@dataclass(frozen=True)
class Hostile:
    """A program and the ways in which it may end."""

    name: str
    source: str
    statuses: tuple[Status, ...] = (OK,)
    checks: str = ""
    limits: Limits = LIMITS
    entry_point: str | None = None


def attempt(body: str, *, errors: str = "OSError") -> str:
    """Source that says `ESCAPED` when `body` does not raise."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return f"import ctypes, os, signal, socket, sys, time\ntry:\n{lines}\n    print('ESCAPED')\nexcept ({errors}):\n    pass\n"


_LIBC = "libc = ctypes.CDLL(None, use_errno=True)\n"


def call(expression: str) -> str:
    """Source that says `ESCAPED` when a call of libc does not return -1."""
    return f"import ctypes, os, signal\n{_LIBC}\nif {expression} != -1:\n    print('ESCAPED')\n"


_ANSWER = "\nassert answer() == 42\n"
# The answers are nowhere in the program's process: it finds its own copy of the words, and none with the number.
_SECRET_CHECKS = "# secret-of-the-checks:7391\nassert f(1) == 2\n"
_FUNCTION_CHECKS = "assert f(1) == 2\nassert f(5) == 6\n"

NETWORK = [
    Hostile("tcp", attempt("socket.create_connection({tcp!r}, 2).send(b'x')")),
    Hostile("udp", attempt("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', {udp!r})")),
    Hostile("abstract unix socket", attempt("socket.socket(socket.AF_UNIX).connect({abstract!r})")),
    Hostile("internet", attempt("socket.create_connection(('192.0.2.1', 53), 1)")),
    Hostile("name resolution", attempt("print(socket.getaddrinfo('example.org', 80))")),
    Hostile("vsock", attempt("socket.socket(40, socket.SOCK_STREAM)")),
    Hostile("netlink", attempt("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)")),
    Hostile("packet socket", attempt("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)")),
    Hostile("kernel crypto socket", attempt("socket.socket(38, socket.SOCK_SEQPACKET)")),
    Hostile("raw socket", attempt("socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)")),
    Hostile(
        "abstract socket left behind",
        "import os, socket, time\ns = socket.socket(socket.AF_UNIX)\ns.bind('\\0{mark}')\ns.listen()\n"
        "if os.fork() == 0:\n    time.sleep(60)\n",
    ),
]

HOST_FILES = [
    Hostile("read a host file", attempt("print(open({secret!r}).read())")),
    Hostile("read /etc/shadow", attempt("print(open('/etc/shadow').read())")),
    Hostile("read the home", attempt("print(os.listdir({home!r}))\nassert os.listdir({home!r})", errors="Exception")),
    Hostile(
        "read the host's file systems",
        "import os\nfor path in ('/home', '/root', '/var', '/opt', '/srv', '/mnt', '/sys', '/boot', '/run', '/work'):\n"
        "    try:\n        found = [n for n in os.listdir(path) if (path, n) != ('/opt', 'python')]\n"
        "    except OSError:\n        continue\n    if found:\n        print('ESCAPED', path, found)\n",
    ),
    Hostile("write a host file", attempt("open({written!r}, 'w').write('x')")),
    Hostile("write to /usr", attempt("open('/usr/{mark}', 'w').write('x')")),
    Hostile("write to /etc", attempt("open('/etc/{mark}', 'w').write('x')")),
    Hostile("write to /dev", attempt("open('/dev/{mark}', 'w').write('x')")),
    Hostile("write to the root", attempt("os.mkdir('/{mark}')")),
    Hostile("change the interpreter's library", attempt("open(os.__file__, 'a').write('#')")),
    Hostile("make a device", attempt("os.mknod('/tmp/sda', 0o60666, os.makedev(8, 0))")),
    Hostile(
        "write through posix_spawn",
        "import os\ntry:\n    os.waitpid(os.posix_spawn('/bin/sh', ['sh', '-c', "
        "'echo x > {written}'], {{}}), 0)\nexcept OSError:\n    pass\n",
    ),
    Hostile(
        "write through io.open",
        "import io\ntry:\n    io.open({written!r}, 'w').write('x')\nexcept OSError:\n    pass\n",
    ),
    Hostile("symlink to the host", attempt("os.symlink({secret!r}, 'link')\nprint(open('link').read())")),
    Hostile(
        "symlinks left behind", "import os\nos.symlink('/', '/tmp/{mark}')\nos.symlink('/etc', '/dev/shm/{mark}')\n"
    ),
    Hostile(
        "descriptors of others",
        "import os\nfor n in range(3, 256):\n    try:\n        os.write(n, b'')\n"
        "        target = os.readlink('/proc/self/fd/%d' % n)\n    except OSError:\n        continue\n"
        "    if not target.startswith('socket:'):\n        print('ESCAPED', n, target)\n",
    ),
    Hostile("the old root", attempt("print(os.listdir('/proc/1/root/'))")),
    Hostile("/proc of the host", attempt("print(open('/proc/sys/kernel/core_pattern').read())")),
    Hostile("core pattern", attempt("open('/proc/sys/kernel/core_pattern', 'w').write('|/tmp/x')")),
    Hostile("sysrq", attempt("open('/proc/sysrq-trigger', 'w').write('h')")),
    Hostile("kernel log", attempt("print(open('/dev/kmsg').read(10))")),
]

SECRETS = [
    Hostile("environment", "import os\nprint(dict(os.environ))\n"),
    Hostile(
        "environment through a child",
        "import subprocess\nprint(subprocess.run(['env'], capture_output=True, text=True).stdout)",
    ),
    Hostile(
        "environment of other processes",
        "import glob\nfor path in glob.glob('/proc/[0-9]*/environ'):\n    try:\n        print(open(path).read())\n"
        "    except OSError:\n        pass\n",
    ),
    Hostile(
        "other processes' command lines",
        "import glob\nseen = glob.glob('/proc/[0-9]*')\nif len(seen) > 3:\n    print('ESCAPED', seen)\n",
    ),
    Hostile("the parent's memory", attempt("print(open('/proc/%d/mem' % os.getppid(), 'rb').read(1))")),
    Hostile("the parent's descriptors", attempt("print(os.listdir('/proc/%d/fd' % os.getppid()))")),
]

PROCESSES = [
    Hostile(
        "kill everything",
        "import os, signal\nos.setsid() if os.getpid() != os.getsid(0) else None\n"
        "try:\n    os.kill(-1, signal.SIGKILL)\nexcept OSError:\n    pass\n",
        (OK, SIGNAL, FAILED),
    ),
    Hostile("kill a host process", attempt("os.kill({pid}, signal.SIGKILL)")),
    Hostile(
        "kill the parent",
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.kill(1, signal.SIGSTOP)\n"
        "os.kill(1, signal.SIGINT)\n",
    ),
    Hostile("ptrace", call("libc.ptrace(16, os.getppid(), 0, 0)")),
    Hostile("process_vm_readv", call("libc.process_vm_readv(os.getppid(), 0, 0, 0, 0, 0)")),
    Hostile(
        "fork bomb",
        "import os, time\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.01)\n",
        (TIMEOUT, SIGNAL),
        limits=SHORT,
    ),
    Hostile(
        "fork bomb that exits",
        "import os\ntry:\n    while True:\n        if os.fork() == 0:\n            os.setsid()\n"
        "except OSError:\n    os._exit(0)\n",
        (FAILED, TIMEOUT),
        limits=SHORT,
    ),
    Hostile(
        "thread bomb",
        "import threading, time\nn = 0\ntry:\n    while n < 5000:\n        threading.Thread(target=time.sleep, "
        "args=(60,), daemon=True).start()\n        n += 1\nexcept RuntimeError:\n    pass\nif n > 1000:\n    print('ESCAPED')\n",
    ),
    Hostile(
        "daemon",
        "import os, sys\nif os.fork() == 0:\n    os.setsid()\n    os.chdir('/')\n    if os.fork() == 0:\n"
        "        os.execv(sys.executable, ['{mark}', '-c', 'import time; time.sleep(60)'])\n    os._exit(0)\n",
    ),
    Hostile("child that holds stdout", "import subprocess\nsubprocess.Popen(['sleep', '60'])\nprint('done')\n"),
    Hostile(
        "spin that ignores signals",
        "import signal\nfor n in range(1, 32):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n"
        "    except OSError:\n        pass\nwhile True:\n    pass\n",
        (TIMEOUT,),
        limits=ENDLESS,
    ),
    Hostile("sleep", "import time\ntime.sleep(600)\n", (TIMEOUT,), limits=ENDLESS),
    Hostile("SIGSTOP itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n", (TIMEOUT,), limits=ENDLESS),
    Hostile("wait for stdin", "import sys\nassert sys.stdin.read() == ''\n"),
    Hostile(
        "thread that never ends",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n",
        (TIMEOUT,),
        limits=ENDLESS,
    ),
    Hostile(
        "raise the limits",
        "import resource\nfor name in ('NPROC', 'DATA', 'FSIZE', 'AS'):\n    try:\n"
        "        resource.setrlimit(getattr(resource, 'RLIMIT_' + name), (-1, -1))\n        print('ESCAPED', name)\n"
        "    except (OSError, ValueError):\n        pass\n",
    ),
    Hostile("become root", attempt("os.setuid(0)")),
    Hostile(
        "setuid program",
        attempt(
            "import subprocess\nassert subprocess.run(['su', '-c', 'true'], stdin=subprocess.DEVNULL, "
            "capture_output=True).returncode == 0",
            errors="OSError, AssertionError",
        ),
    ),
    Hostile("real-time scheduling", attempt("os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))")),
    Hostile("raise the priority", attempt("os.nice(-10)")),
]

RESOURCES = [
    Hostile("memory in one process", "x = []\nwhile True:\n    x.append(bytearray(8 << 20))\n", (MEMORY,)),
    Hostile(
        "memory, errors swallowed",
        "x = []\nwhile True:\n    try:\n        x.append(bytearray(8 << 20))\n    except MemoryError:\n        pass\n",
        (MEMORY, TIMEOUT),
        limits=SHORT,
    ),
    Hostile(
        "memory in ten processes",
        "import os, time\nfor _ in range(10):\n    if os.fork() == 0:\n        x = bytearray(120 << 20)\n"
        "        for i in range(0, len(x), 4096):\n            x[i] = 1\n        time.sleep(60)\n        os._exit(0)\n"
        "for _ in range(10):\n    os.wait()\nprint('ESCAPED')\n",
        (MEMORY, SIGNAL, FAILED, TIMEOUT),
        limits=SHORT,
    ),
    Hostile(
        "shared memory maps",
        "import mmap\nx = []\nwhile True:\n    m = mmap.mmap(-1, 16 << 20)\n    for i in range(0, len(m), 4096):\n"
        "        m[i] = 1\n    x.append(m)\n",
        (FAILED, MEMORY),
    ),
    Hostile("memfd", attempt("fd = os.memfd_create('x')\nfor _ in range(1024):\n    os.write(fd, bytes(1 << 20))")),
    Hostile("System V shared memory", call("libc.shmget(0, 1 << 30, 0o1600)")),
    Hostile(
        "message queue",
        attempt(
            _LIBC + "assert libc.mq_open(b'/x', 0o102, 0o600, None) >= 0",
            errors="OSError, AssertionError, AttributeError",
        ),
    ),
    Hostile(
        "disk", attempt("f = open('big', 'wb')\nfor _ in range(1024):\n    f.write(bytes(1 << 20))\n    f.flush()")
    ),
    Hostile(
        "disk in many files",
        attempt("for i in range(256):\n    f = open('big%d' % i, 'wb', 0)\n    f.write(bytes(1 << 20))"),
    ),
    Hostile("inodes", attempt("for i in range(100000):\n    open('f%d' % i, 'w').close()")),
    Hostile(
        "/dev/shm",
        attempt(
            "f = open('/dev/shm/{mark}', 'wb')\nfor _ in range(1024):\n    f.write(bytes(1 << 20))\n    f.flush()"
        ),
    ),
    Hostile("sparse file", attempt("f = open('sparse', 'wb')\nf.truncate(1 << 40)")),
    Hostile(
        "deep directory",
        "import os\nfor i in range(1200):\n    os.mkdir('d' * 50)\n    os.chdir('d' * 50)\nopen('f', 'w').write('x')\n",
    ),
    Hostile("output without end", "while True:\n    print('x' * 1000)\n", (OUTPUT,)),
    Hostile("stderr without end", "import sys\nwhile True:\n    sys.stderr.write('x' * 1000)\n", (OUTPUT,)),
    Hostile("output through a child", "import subprocess\nsubprocess.run(['yes'])\n", (OUTPUT,)),
    Hostile(
        "100 MB exception",
        "raise ValueError('x' * 100_000_000)\n",
        (FAILED, OUTPUT, MEMORY),
        limits=Limits(output=256 << 10),
    ),
    Hostile(
        "exception that cannot be printed",
        "class E(Exception):\n    def __str__(self):\n        raise SystemExit(0)\nraise E\n",
        (FAILED,),
    ),
    Hostile(
        "deep recursion",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()\n",
        (FAILED, SIGNAL, MEMORY, TIMEOUT),
        limits=SHORT,
    ),
    Hostile("segmentation fault", "import ctypes\nctypes.string_at(0)\n", (SIGNAL,)),
    Hostile("abort", "import os\nos.abort()\n", (SIGNAL,)),
    Hostile(
        "output that is not UTF-8", "import os\nos.write(1, b'\\xff\\xfe\\x00\\x80')\nos.write(2, bytes(range(256)))\n"
    ),
    Hostile("lone surrogates", "print(repr('\\ud800'))\nraise ValueError('\\ud800')\n", (FAILED,)),
    Hostile("descriptors", attempt("x = []\nfor i in range(5000):\n    x.append(open('/dev/null'))")),
    Hostile("regular expression", "import re\nre.match('(a+)+$', 'a' * 40 + 'b')\n", (TIMEOUT,), limits=ENDLESS),
    Hostile("huge integer", "x = 10 ** 10 ** 9\n", (TIMEOUT, MEMORY), limits=SHORT),
]

KERNEL = [
    Hostile(
        "lock a shared file",
        "import fcntl\n" + attempt("fcntl.flock(os.open('/usr/bin/env', os.O_RDONLY), fcntl.LOCK_EX)"),
    ),
    Hostile(
        "lease of a shared file",
        "import fcntl\n"
        + attempt("fcntl.fcntl(os.open('/usr/bin/env', os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)"),
    ),
    Hostile(
        "watch a shared folder",
        "import fcntl\n" + attempt("fcntl.fcntl(os.open('/usr', os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_ACCESS)"),
    ),
    Hostile("user namespace", call("libc.unshare(0x10000000)")),
    Hostile("clone into a namespace", call("libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)")),
    Hostile("join a namespace", call("libc.setns(os.open('/proc/self/ns/user', os.O_RDONLY), 0)")),
    Hostile("mount", call("libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None)")),
    Hostile("unmount", call("libc.umount2(b'/tmp', 2)")),
    Hostile("chroot", attempt("os.chroot('/tmp')")),
    Hostile("pivot_root", call("libc.syscall(155, b'/tmp', b'/tmp')")),
    Hostile("bpf", call("libc.syscall(321, 0, 0, 0)")),
    Hostile("perf_event_open", call("libc.syscall(298, 0, 0, -1, -1, 0)")),
    Hostile("io_uring", call("libc.syscall(425, 1, 0)")),
    Hostile("userfaultfd", call("libc.syscall(323, 0)")),
    Hostile("keyring", call("libc.syscall(250, 0, -3, 1)")),
    Hostile("kernel module", call("libc.syscall(313, 0, b'', 0)")),
    Hostile("reboot", call("libc.syscall(169, 0xfee1dead, 672274793, 0, 0)")),
    Hostile("host name", attempt("socket.sethostname('escaped')")),
    Hostile("clock", attempt("time.clock_settime(time.CLOCK_REALTIME, 0)")),
    Hostile("open by handle", call("libc.open_by_handle_at(-100, 0, 0)")),
    Hostile(
        "32-bit calls",
        "import mmap, ctypes\ncode = b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3'\nm = mmap.mmap(-1, 4096, prot=7)\n"
        "m.write(code)\nf = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n"
        "if f() > 0:\n    print('ESCAPED')\n",
        (SIGNAL, OK),
    ),
    Hostile(
        "capabilities",
        "for line in open('/proc/self/status'):\n    if line.startswith('Cap') and int(line.split()[1], 16):\n"
        "        print('ESCAPED', line)\n    if line.startswith('NoNewPrivs') and line.split()[1] != '1':\n        print('ESCAPED', line)\n",
    ),
]

KERNEL += [
    Hostile("x32 calls", call("libc.syscall(0x40000000 | 272, 0x10000000)"), (SIGNAL, OK)),
    Hostile("watch the host's files", call("libc.inotify_init1(0)")),
    Hostile("another keyring", call("libc.syscall(248, b'user', b'x', b'y', 1, -3)")),
    Hostile("limits of the init", call("libc.syscall(302, 1, 7, 0, ctypes.byref((ctypes.c_ulong * 2)()))")),
    Hostile("seize the init", call("libc.ptrace(0x4206, 1, 0, 0)")),
    Hostile("a new root", attempt("os.chroot('/tmp')")),
    Hostile("hard link to the host", attempt("os.link('/usr/bin/env', '/tmp/env')")),
    Hostile("a terminal", attempt("os.openpty()")),
    Hostile("set-user-id file", "import os, shutil\nshutil.copy('/bin/sh', '/tmp/sh')\nos.chmod('/tmp/sh', 0o6755)\n"
            "if b'euid=0' in __import__('subprocess').run(['/tmp/sh', '-pc', 'id'], capture_output=True).stdout:\n    print('ESCAPED')\n"),
]  # fmt: skip

RESOURCES += [
    Hostile(
        "pipes", "import fcntl, os\nfull = 0\nends = []\ntry:\n    while True:\n        r, w = os.pipe2(os.O_NONBLOCK)\n"
        "        ends.append((r, w))\n        try:\n            fcntl.fcntl(w, 1031, 1 << 20)\n        except OSError:\n            pass\n"
        "        try:\n            while True: full += os.write(w, bytes(1 << 16))\n        except BlockingIOError:\n            pass\n"
        "except OSError:\n    pass\nif full > 256 << 20:\n    print('ESCAPED', full)\n", (OK, MEMORY),
    ),
    Hostile(
        "socket buffers", "import socket\nfull = 0\nends = []\ntry:\n    while True:\n        a, b = socket.socketpair()\n"
        "        ends.append((a, b))\n        a.setblocking(False)\n        a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 28)\n"
        "        try:\n            while True: full += a.send(bytes(1 << 16))\n        except BlockingIOError:\n            pass\n"
        "except OSError:\n    pass\nif full > 256 << 20:\n    print('ESCAPED', full)\n", (OK, MEMORY),
    ),
    Hostile(
        "descriptors in flight", "import array, os, socket\nn = 0\na, b = socket.socketpair()\na.setblocking(False)\ntry:\n"
        "    while n < 100_000:\n        fds = array.array('i', [os.open('/dev/null', 0)])\n"
        "        a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])\n        os.close(fds[0])\n        n += 1\n"
        "except OSError:\n    pass\nif n > 10_000:\n    print('ESCAPED', n)\n",
    ),
    Hostile(
        "timers", "import ctypes\nlibc = ctypes.CDLL('librt.so.1')\nn = 0\nt = ctypes.c_void_p()\n"
        "while n < 100_000 and libc.timer_create(1, None, ctypes.byref(t)) == 0: n += 1\nif n > 10_000:\n    print('ESCAPED', n)\n",
    ),
    Hostile(
        "semaphores left behind", "import multiprocessing as m, os\nx = [m.Semaphore() for _ in range(20)]\n"
        "for n in range(2000):\n    try:\n        open(f'/dev/shm/sem.{mark}{{n}}', 'w').write('x')\n    except OSError:\n        break\n"
        "os._exit(0)\n", (FAILED,),
    ),
    Hostile("attributes of files", attempt("for n in range(10_000): os.setxattr('/tmp', f'user.x{n}', bytes(60_000))".replace("{n}", "{{n}}"))),
    Hostile("names of 255 bytes", "import os\nn = 0\ntry:\n    while n < 100_000:\n        os.symlink('x' * 4000, '%0250d' % n)\n        n += 1\n"
            "except OSError:\n    pass\nif n > 50_000:\n    print('ESCAPED')\n", (OK, MEMORY)),
]  # fmt: skip

# What an assert has compared is shown by code of the program.
_REPRS = [
    Hostile(f"repr that {name}", f"import os, sys\nclass A:\n    def __repr__(self):\n        {body}\ndef f(x): return A()\n",
            (FAILED, *more), _FUNCTION_CHECKS, limits=SHORT)
    for name, body, more in (
        ("exits", "os._exit(0)", ()),
        ("leaves", "sys.exit(0)", ()),
        ("writes to every descriptor", "[os.write(n, b'{{\"end\": \"program\"}}') for n in range(1, 9)]", (SIGNAL,)),
        ("never ends", "while True: pass", (TIMEOUT,)),
        ("fills the memory", "return 'x' * (1 << 40)", (MEMORY,)),
        ("is of another type", "return 2", ()),
        ("recurses", "return repr(self)", ()),
        ("is long", "return 'x' * (1 << 26)", (TIMEOUT,)),
    )
]  # fmt: skip
_REPRS += [
    Hostile(
        "asserts that keep what they compare", "import gc, sys\ndef f(x):\n    needle = ':skcehc-eht-fo-terces'[::-1]\n"
        "    for o in gc.get_objects():\n        if isinstance(o, tuple) and needle + '7' in repr(o)[:10_000]: print('ESCAPED')\n    return 0\n",
        (FAILED,), _SECRET_CHECKS,
    ),
    Hostile(
        "comparison of our own", "def f(x):\n    for c in (lambda: 0).__code__.co_consts + f.__code__.co_consts:\n"
        "        if callable(c) and hasattr(c, '__globals__'):\n            c.__globals__['_keep_pair'] = lambda *a: (1, 1)\n"
        "            c.__globals__['_kept'] = []\n    assert x == x\n    return 0\n", (FAILED,), _FUNCTION_CHECKS,
    ),
    Hostile("a class that lies", "class A:\n    __class__ = int\n    def __eq__(self, o): return True\ndef f(x): return A()\n",
            (FAILED,), "assert isinstance(f(1), int) and f(1) == 2\n"),
    Hostile("text that contains everything", "class A(str):\n    def __contains__(self, o): return True\n    def __len__(self): return 2\n"
            "def f(x): return A()\n", (FAILED,), "assert 'x' in f(1) and len(f(1)) == 2\n"),
    Hostile("mapping that has everything", "class A(dict):\n    def __missing__(self, k): return 2\n    def __getitem__(self, k): return 2\n"
            "def f(x): return A()\n", (FAILED,), "assert f(1)['a'] == 2\n"),
    Hostile("ends said too early", "import sys\nfor m in list(sys.modules.values()): pass\nimport gc\nfor o in gc.get_objects():\n"
            "    if type(o).__name__ == 'Channel':\n        try:\n            o.send({{'end': 'finished'}})\n"
            "            o.send({{'gave': ['t', ['value', 2]], 'changed': []}})\n            o.send({{'end': 'program'}})\n"
            "        except BaseException:\n            pass\nimport os\nos._exit(0)\n", (FAILED,), _FUNCTION_CHECKS),
    Hostile("a name of the runner", "def _kept(): pass\n_keep_pair = eq = operator = errors = None\n__builtins__ = {{}}\ndef f(x): return 0\n",
            (FAILED,), _FUNCTION_CHECKS, entry_point="_keep_pair"),
]  # fmt: skip

# A pass would be the escape.
CHEATS = [
    *_REPRS,
    Hostile("os._exit before the asserts", "import os\nos._exit(0)" + _ANSWER, (FAILED,)),
    Hostile("sys.exit before the asserts", "import sys\nsys.exit(0)" + _ANSWER, (FAILED,)),
    Hostile("exec of another program", "import os\nos.execv('/bin/true', ['true'])" + _ANSWER, (FAILED,)),
    Hostile("exit in the function under test", "import os\ndef f(x):\n    os._exit(0)\n", (FAILED,), _FUNCTION_CHECKS),
    Hostile(
        "sys.exit in the function under test", "import sys\ndef f(x):\n    sys.exit(0)\n", (FAILED,), _FUNCTION_CHECKS
    ),
    Hostile(
        "exit expected as an error",
        "import os\ndef f(x):\n    os._exit(0)\n",
        (FAILED,),
        "try:\n    f(1)\nexcept Exception:\n    pass\nelse:\n    assert False\n",
    ),
    Hostile(
        "exit at exit",
        "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 0\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "exit when the checks are over",
        "import atexit, os\natexit.register(os._exit, 3)\ndef f(x): return x + 1\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "exit from a thread",
        "import os, threading, time\ndef g():\n    time.sleep(0.2)\n    os._exit(0)\nthreading.Thread(target=g).start()\n"
        "def f(x):\n    time.sleep(5)\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "equal to everything",
        "class Any:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
        "    def __bool__(self): return True\n    def __hash__(self): return 2\ndef f(x): return Any()\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "number equal to everything",
        "class Any(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef f(x): return Any(0)\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "list equal to everything",
        "class Any(list):\n    def __eq__(self, other): return True\ndef f(x): return Any()\n",
        (FAILED,),
        "assert f(1) == [2]\n",
    ),
    Hostile(
        "operators that always fit",
        "class Any:\n    def __sub__(self, other): return 0\n    __rsub__ = __sub__\n"
        "    def __abs__(self): return 0\n    def __lt__(self, other): return True\n    def __float__(self): return 2.0\ndef f(x): return Any()\n",
        (FAILED,),
        "assert abs(f(1) - 2) < 1e-6\n",
    ),
    Hostile("mock.ANY", "from unittest.mock import ANY\ndef f(x): return ANY\n", (FAILED,), _FUNCTION_CHECKS),
    Hostile(
        "contains everything",
        "class Any:\n    def __contains__(self, x): return True\ndef f(x): return Any()\n",
        (FAILED,),
        "assert 3 in f(1)\n",
    ),
    Hostile(
        "patched builtins",
        "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {{}})\nbuiltins.abs = lambda x: 0\n"
        "builtins.len = lambda x: 2\nbuiltins.all = builtins.any = lambda x: True\ndef f(x): return []\n",
        (FAILED,),
        "assert len(f(1)) == 2 and all([f(1)])\n",
    ),
    Hostile(
        "builtins hidden by globals",
        "def len(x): return 2\ndef isinstance(x, y): return True\ndef f(x): return []\n",
        (FAILED,),
        "assert len(f(1)) == 2\n",
    ),
    Hostile(
        "patched modules",
        "import math, sys, unittest\nmath.isclose = lambda *a, **k: True\nsys.modules['math'] = type('M', (), {{'isclose': math.isclose}})\n"
        "def f(x): return 0.0\n",
        (FAILED,),
        "import math\nassert math.isclose(f(1), 2.0)\n",
    ),
    Hostile(
        "a global of a module's name",
        "class math:\n    isclose = staticmethod(lambda *a: True)\ndef f(x): return 0.0\n",
        (FAILED,),
        "assert math.isclose(f(1), 2.0)\n",
    ),
    Hostile(
        "limits of the judge",
        "import resource\ndef f(x):\n    try:\n        resource.prlimit(1, resource.RLIMIT_FSIZE, (0, 0))\n        print('ESCAPED')\n"
        "    except OSError:\n        pass\n    return 0\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "named tuple with special fields",
        "class T(tuple):\n    _fields = ('__eq__',)\ndef f(x): return T((lambda other: True,))\n",
        (FAILED,),
        "assert f(1) == (2,)\n",
    ),
    Hostile(
        "interrupts as answers",
        "def f(x): raise KeyboardInterrupt\n",
        (FAILED,),
        "try:\n    f(1)\nexcept KeyboardInterrupt:\n    pass\nassert True\n",
    ),
    Hostile(
        "modules left in the directory",
        "open('math.py', 'w').write('isclose = lambda *a: True')\n"
        "open('fractions2.py', 'w').write('ok = True')\ndef f(x): return 0.0\n",
        (FAILED,),
        "import fractions2\nassert fractions2.ok\n",
    ),
    Hostile(
        "another module under a known name",
        'import pickle as json\ndef f(x):\n    return b"cos\\n_exit\\n(I0\\ntR.".decode()\n',
        (FAILED,),
        "assert json.loads(f(1)) == 2\n",
    ),
    Hostile(
        "frames",
        "import sys\ndef f(x):\n    needle = ':skcehc-eht-fo-terces'[::-1]\n    frame = sys._getframe()\n    while frame:\n"
        "        if needle + '7' in repr(frame.f_locals) + repr(frame.f_code.co_consts):\n            print('ESCAPED')\n"
        "        frame.f_globals['completed'] = True\n"
        "        frame = frame.f_back\n    return 0\n",
        (FAILED,),
        _SECRET_CHECKS,
    ),
    Hostile(
        "search through objects",
        "import gc\ndef f(x):\n    needle = ':skcehc-eht-fo-terces'[::-1]\n    for o in gc.get_objects():\n"
        "        for r in gc.get_referents(o):\n            if isinstance(r, (str, bytes)) and needle + '7' in str(r):\n"
        "                print('ESCAPED', r)\n    return 0\n",
        (FAILED,),
        _SECRET_CHECKS,
    ),
    Hostile(
        "search through raw memory",
        "import ctypes, re\ndef f(x):\n    needle = ':skcehc-eht-fo-terces'[::-1].encode()\n    read = 0\n"
        "    for line in open('/proc/self/maps'):\n        if ' rw-p ' in line and '[v' not in line:\n"
        "            a, b = (int(v, 16) for v in line.split()[0].split('-'))\n            data = ctypes.string_at(a, b - a)\n"
        "            read += len(data)\n            if re.search(needle + rb'[0-9]', data):\n                print('ESCAPED')\n"
        "            del data\n    print('read', read)\n    return 0\n",
        (FAILED,),
        _SECRET_CHECKS,
    ),
    Hostile(
        "forged report",
        "import os, json\nr = json.dumps({{'completed': True, 'error': None, 'steps': [['run', 0]]}}).encode()\n"
        "for n in range(1, 256):\n    try:\n        os.write(n, r)\n    except OSError:\n        pass\n\ndef f(x): return 0\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "forged end of the program",
        "import os, struct, json, gc\nfrom types import ModuleType\ndef f(x):\n    for n in range(3, 256):\n        for m in ({{'end': 'program'}}, {{'gave': 2, 'changed': []}}, {{'end': 'finished'}}):\n"
        "            b = json.dumps(m).encode()\n            try:\n                os.write(n, struct.pack('!I', len(b)) + b)\n            except OSError:\n                pass\n    os._exit(0)\n",
        (FAILED,),
        "assert f(1) == 3\n",
    ),
    Hostile(
        "nonsense to the checks",
        "import os\ndef f(x):\n    for n in range(3, 256):\n        try:\n            os.write(n, b'\\xff' * 4096)\n        except OSError:\n            pass\n    return 2\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "a flood to the checks",
        "import os, struct\ndef f(x):\n    for n in range(3, 256):\n        try:\n            os.write(n, struct.pack('!I', 60 << 20))\n"
        "            while True: os.write(n, b'[' * 65536)\n        except OSError:\n            pass\n",
        (FAILED, TIMEOUT, MEMORY),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "the checks' namespace through a callback",
        "def f(g):\n    try:\n        g.__globals__['f'] = lambda x: 2\n        print('ESCAPED')\n    except Exception:\n        pass\n"
        "    try:\n        g.__code__ = (lambda x: 2).__code__\n        print('ESCAPED')\n    except Exception:\n        pass\n    return 0\n",
        (FAILED,),
        "def g(x): return x\nassert f(g) == 2\n",
    ),
    Hostile(
        "frames through a generator",
        "def f(g):\n    try:\n        g.gi_frame.f_globals\n        print('ESCAPED')\n    except Exception:\n        pass\n    return 0\n",
        (FAILED,),
        "assert f(i for i in range(3)) == 2\n",
    ),
    Hostile(
        "hostile pickle",
        "import os\nclass P:\n    def __reduce__(self): return os._exit, (0,)\ndef f(x): return P()\n",
        (FAILED,),
        "import pickle, copy\nassert pickle.loads(pickle.dumps(f(1))) == 2\n",
    ),
    Hostile(
        "hostile exception",
        "import os\nclass E(ValueError):\n    def __str__(self): os._exit(0)\ndef f(x): raise E(E())\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "trace function",
        "import sys\ndef t(frame, event, arg):\n    frame.f_trace_lines = True\n    return t\nsys.settrace(t)\nsys.setprofile(lambda *a: None)\ndef f(x): return 0\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "patched runner",
        "import sys\nfor frame in sys._current_frames().values():\n    while frame:\n        for k, v in list(frame.f_globals.items()):\n"
        "            if k in ('errors', '_report', '_flush', 'leave'): frame.f_globals[k] = lambda *a, **k: {{}}\n        frame = frame.f_back\ndef f(x): return 0\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "patched unittest",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\nunittest.main = lambda *a, **k: None\ndef f(x): return 0\n",
        (FAILED,),
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 2)\n"
        "assert unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(T)).wasSuccessful()\n",
    ),
    Hostile(
        "recursion in the answer",
        "def f(x):\n    a = []\n    for _ in range(100000): a = [a]\n    return a\n",
        (FAILED, SIGNAL),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "answer that contains itself",
        "def f(x):\n    a = []\n    a.append(a)\n    return a\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "endless answer",
        "def f(x):\n    while True: yield 2\n",
        (TIMEOUT, MEMORY),
        "assert list(f(1)) == [2]\n",
        limits=SHORT,
    ),
    Hostile(
        "forked runner",
        "import os\nos.fork()\nos.fork()\ndef f(x):\n    os.fork()\n    return 0\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
    Hostile(
        "SIGALRM into the judge",
        "import os, signal\ndef f(x):\n    for n in range(1, 65):\n        try:\n            os.kill(1, n)\n        except OSError:\n            pass\n    return 0\n",
        (FAILED,),
        _FUNCTION_CHECKS,
    ),
]

PROGRAMS = [*NETWORK, *HOST_FILES, *SECRETS, *PROCESSES, *RESOURCES, *KERNEL, *CHEATS]
