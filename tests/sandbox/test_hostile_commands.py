"""Compilers and interpreters are as hostile as what they are given: nothing of the host, no file of others, no pass."""

from __future__ import annotations

import shutil

import pytest

from reflection_trl.sandbox import CommandProgram, Limits, Sandbox, Status

from .observers import Host, inspection


LIMITS = Limits(timeout=60.0, memory=2 << 30, processes=128)
SHORT = Limits(timeout=4.0, memory=512 << 20, processes=64, disk=64 << 20, output=64 << 10)
JAVA = Limits(timeout=60.0, memory=4 << 30, processes=256)


def cpp(source: str, limits: Limits = LIMITS, *options: str) -> CommandProgram:
    return CommandProgram(["./main"], ["g++", *options, "main.cpp", "-o", "main"], {"main.cpp": source}, limits=limits)


def script(command: str, source: str, limits: Limits = LIMITS) -> CommandProgram:
    return CommandProgram([command, "main"], files={"main": source}, limits=limits)


_HELLO = "int main() {{}}\n"
PROGRAMS = {
    "g++: include of a host file": cpp('#include "{secret}"\n' + _HELLO),
    "g++: include of the password file": cpp('#include "/etc/passwd"\n' + _HELLO),
    "g++: include of standard input": cpp('#include "/dev/stdin"\n#error ended\n' + _HELLO),
    "g++: include of a process": cpp('#include "/proc/1/environ"\n#error ended\n' + _HELLO),
    "g++: include without end": cpp('#include "main.cpp"\n' + _HELLO, SHORT),
    "g++: a device without end": cpp('#include "/dev/zero"\n' + _HELLO, SHORT),
    "g++: incbin": cpp('asm(".incbin \\"{secret}\\"");\n' + _HELLO),
    "g++: template bomb": cpp("template <int N> struct A {{ A<N + 1> a; A<N + 2> b; }};\nA<0> a;\n" + _HELLO, SHORT, "-ftemplate-depth=9000"),
    "g++: macro bomb": cpp("#define A B B B B B B B B\n#define B C C C C C C C C\n#define C D D D D D D D D\n#define D E E E E E E E E\n"
                           "#define E F F F F F F F F\n#define F G G G G G G G G\n#define G 1, 1, 1, 1, 1, 1, 1, 1\nint x[] = {{A}};\n" + _HELLO, SHORT),
    "g++: large object": cpp("char x[1L << 32] = {{1}};\n" + _HELLO, SHORT),
    "g++: errors without end": cpp("#define A x y z\n" + "A A A A A A A A;\n" * 20_000 + _HELLO, SHORT),
    "g++: reads a host file": cpp('#include <cstdio>\nint main() {{ FILE *f = fopen("{secret}", "r"); char b[99]; '
                                  'return f && puts(fgets(b, 99, f)) ? 0 : 1; }}'),
    "g++: connects": cpp('#include <arpa/inet.h>\n#include <sys/socket.h>\nint main() {{ sockaddr_in a{{AF_INET, htons({port}), {{htonl(0x7f000001)}}}}; '
                         'return connect(socket(AF_INET, SOCK_STREAM, 0), (sockaddr *)&a, sizeof a) ? 1 : 0; }}'),
    "bash: host file": script("bash", "cat {secret}"),
    "bash: network": script("bash", "exec 3<>/dev/tcp/127.0.0.1/{port} && echo x >&3"),
    "bash: write": script("bash", "echo x > {written}"),
    "bash: fork bomb": script("bash", "f() {{ f | f & }}; f; sleep 60", SHORT),
    "bash: stays": script("bash", "(trap '' HUP TERM; setsid sleep 60 {mark} &) ; exec 1>&- 2>&-; kill -9 $$"),
    "bash: kill everything": script("bash", "kill -9 -1; kill -9 1; sleep 30; false", SHORT),
    "node: host file": script("node", "console.log(require('fs').readFileSync('{secret}', 'utf8'))"),
    "node: network": script("node", "require('net').connect({port}, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))"),
    "node: inspector": script("node", "require('inspector').open(9229, '127.0.0.1'); process.kill(process.ppid, 'SIGKILL'); process.exit(1)"),
    "node: workers": script("node", "const {{ Worker }} = require('worker_threads');\nfor (let i = 0; i < 2000; i++) new Worker('for (;;) {{}}', "
                                    "{{ eval: true }}).on('error', () => process.exit(1))", SHORT),
    "php: host file": script("php", "<?php exit(strlen((string) @file_get_contents('{secret}')) ? 0 : 1);"),
    "php: host file through a stream": script("php", "<?php include 'php://filter/convert.base64-encode/resource={secret}'; exit(1);"),
    "php: network": script("php", "<?php exit(@fsockopen('127.0.0.1', {port}) ? 0 : 1);"),
    "rustc: include of a host file": CommandProgram(["./main"], ["rustc", "main.rs"], {
        "main.rs": 'fn main() {{ println!("{{}}", include_str!("{secret}")); }}'}, limits=LIMITS),
    "rustc: environment": CommandProgram(["./main"], ["rustc", "main.rs"], {
        "main.rs": 'fn main() {{ println!("{{}}", env!("SECRET_OF_THE_HOST")); }}'}, limits=LIMITS),
    "javac: annotation processor": CommandProgram(["java", "Main"], ["javac", "Main.java"], {
        "Main.java": "class Main {{ public static void main(String[] a) {{ System.exit(1); }} }}",
        "META-INF/services/javax.annotation.processing.Processor": "Missing"}, limits=JAVA),
    "java: host file": CommandProgram(["java", "Main.java"], None, {
        "Main.java": 'class Main {{ public static void main(String[] a) throws Exception {{ System.out.println('
                     'java.nio.file.Files.readString(java.nio.file.Path.of("{secret}"))); }} }}'}, limits=JAVA),
    "java: network": CommandProgram(["java", "Main.java"], None, {
        "Main.java": 'class Main {{ public static void main(String[] a) throws Exception {{ new java.net.Socket("127.0.0.1", {port}); }} }}'},
        limits=JAVA),
    "tsc: reference to a host file": CommandProgram(["node", "main.js"], ["tsc", "main.ts"], {
        "main.ts": '/// <reference path="{secret}" />\nconst x: number = "a";'}, limits=LIMITS),
    "mcs: resource of the host": CommandProgram(["mono", "main.exe"], ["mcs", "-resource:{secret}", "-out:main.exe", "main.cs"], {
        "main.cs": "class A {{ static void Main() {{}} }}"}, limits=LIMITS),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name.startswith("tsc") else []) for name in PROGRAMS]
)
def test_hostile_command(name: str, sandbox: Sandbox, host: Host):
    program = PROGRAMS[name]
    tool = name.partition(":")[0]
    if shutil.which(tool, path="/usr/local/bin:/usr/bin:/bin") is None:
        pytest.skip(f"{tool} is not installed")
    clean = sandbox.run(inspection()).stdout
    names = host.names(name)
    names["port"] = names["tcp"][1]

    def filled(texts):
        return [text.format(**names) for text in texts]

    verdict = sandbox.run(
        CommandProgram(
            filled(program.argv),
            filled(program.compile) if program.compile else None,
            {file: text.format(**names) for file, text in program.files.items()},
            limits=program.limits,
        )
    )
    assert verdict.status not in (Status.OK, Status.INFRASTRUCTURE), verdict
    assert host.secret not in verdict.stdout + verdict.stderr
    assert len(verdict.stdout) <= 4 * program.limits.output and len(verdict.stderr) <= 4 * program.limits.output
    host.check_untouched(names["mark"])
    assert sandbox.run(inspection()).stdout == clean
