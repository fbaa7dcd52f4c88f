"""Blocks kernel calls that no program needs, and that have let programs escape from sandboxes before."""

from __future__ import annotations

import contextlib
import errno
import socket
import tempfile

from ..quoting import quote_error
from .verdict import SandboxUnavailableError


_DENIED = [
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "inotify_init",  # tells what the host does with the files below /usr
    "inotify_init1",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "memfd_create",
    "memfd_secret",
    "migrate_pages",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "mq_open",
    "msgget",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "semget",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "shmget",
    "swapoff",
    "swapon",
    "_sysctl",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
    "vmsplice",
]
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
_F_SETLEASE, _F_NOTIFY = 1024, 1026
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
# statmount, listmount, listns, open_tree_attr: newer than the library's table, the same number on every architecture.
_DENIED_NUMBERS = (457, 458, 467, 470)


def build_filter() -> bytes:
    """
    Builds the seccomp program that every job runs under.

    Denied calls fail with `EPERM`, so that a program sees an error and not a signal; `clone3`, whose flags a filter
    cannot see, and `memfd_create` fail with `ENOSYS`, which makes libraries fall back. Sockets are allowed in the
    families that the job's own network namespace makes harmless, and in no other (`AF_VSOCK` reaches a hypervisor from
    any namespace).

    Returns:
        `bytes`: The program, as `prctl` and `bwrap --seccomp` take it.
    """
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise SandboxUnavailableError(
            f"The sandbox needs pyseccomp and libseccomp ({quote_error(error)}): run `pip install pyseccomp` and "
            "`apt-get install libseccomp2`."
        ) from error
    deny, absent = pyseccomp.ERRNO(errno.EPERM), pyseccomp.ERRNO(errno.ENOSYS)
    filter = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in _DENIED:
        try:
            filter.add_rule(absent if name == "memfd_create" else deny, name)
        except (OSError, ValueError):
            continue  # a call that this architecture does not have
    for number in _DENIED_NUMBERS:
        filter.add_rule(deny, number)
    filter.add_rule(absent, "clone3")
    # The limits of other processes, such as the one that judges.
    filter.add_rule(deny, "prlimit64", pyseccomp.Arg(0, pyseccomp.NE, 0))
    for flag in _NAMESPACES:
        filter.add_rule(deny, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    for request in (_TIOCSTI, _TIOCLINUX):
        filter.add_rule(deny, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xFFFFFFFF, request))
    # On files that all jobs read, these would hold up the others, or tell what they do
    filter.add_rule(pyseccomp.ERRNO(errno.ENOLCK), "flock")
    for command in (_F_SETLEASE, _F_NOTIFY):
        filter.add_rule(deny, "fcntl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xFFFFFFFF, command))
    for call in ("socket", "socketpair"):
        filter.add_rule(deny, call, pyseccomp.Arg(0, pyseccomp.GT, int(socket.AF_INET6)))
        for family in range(int(socket.AF_INET6)):
            if family not in (socket.AF_UNIX, socket.AF_INET):
                filter.add_rule(deny, call, pyseccomp.Arg(0, pyseccomp.EQ, family))
    # One comparison after another would cost each call a microsecond.
    with contextlib.suppress(OSError, ValueError):  # libseccomp before 2.5 cannot
        filter.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)
    with tempfile.TemporaryFile() as file:
        filter.export_bpf(file)
        file.seek(0)
        return file.read()
