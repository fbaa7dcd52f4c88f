"""Forms in which models write code, and the program in each: what answers and rendering are tested with.

The texts are made up; the forms are those of the models that are named. `DOUBLE` is the right program, `DRAFT` another version of it.
"""

from dataclasses import dataclass


F = "```"
DOUBLE = "def double(x):\n    return 2 * x"
DRAFT = "def double(x):\n    total = x\n    total = total + x\n    return total + 0"
HELPER = "def twice(x):\n    return x + x"
SOLVE = "def solve():\n    n = int(input())\n    print(2 * n)"


@dataclass(frozen=True)
class Form:
    """
    One form.

    Args:
        name (`str`): what it is, and which model writes so.
        text (`str`): the model's text, its thoughts included.
        code (`str`): the program in it.
        entry_point (`str`, *optional*): where it is known.
        language (`str`): that is asked for.
    """

    name: str
    text: str
    code: str = DOUBLE
    entry_point: str | None = None
    language: str = "python"


def fenced(code: str = DOUBLE, info: str = "python") -> str:
    return f"{F}{info}\n{code}\n{F}"


def indented(text: str, by: str) -> str:
    return "\n".join(by + line if line else line for line in text.split("\n"))


FORMS = [
    # Fences as Markdown has them
    Form("Qwen2.5-Coder: heading behind", f"Certainly! Here is the function:\n\n{fenced()}\n\n### Explanation:\n- It doubles `x`.\n"),
    Form("DeepSeek-Coder: sentence before", f"You can do it like this:\n\n{fenced()}\n\nThis function takes `x` and returns its double."),
    Form("Llama-3: bold heading", f"**Double Function**\n{'=' * 20}\n\n{fenced()}\n\n**Example Use Cases**\n-------------------\n"),
    Form("GPT-4: nothing but a fence", fenced()),
    Form("Phi-3: capital letter", f"Here:\n{fenced(info='Python')}"),
    Form("Gemma: py", fenced(info="py")),
    Form("Mistral: space before the language", fenced(info=" python")),
    Form("Yi: Python3", fenced(info="Python3")),
    Form("InternLM: version", fenced(info="python3.10")),
    Form("Granite: no language", f"The code is\n\n{fenced(info='')}\n"),
    Form("Claude: file name", fenced(info='python title="double.py"')),
    Form("Cursor-like: path behind a colon", fenced(info="python:src/double.py")),
    Form("Pandoc: attributes", fenced(info="{.python .numberLines}")),
    Form("Quarto: braces", fenced(info="{python}")),
    Form("Aider-like: file name alone", fenced(info="src/double.py")),
    Form("a session's language", fenced(">>> def double(x):\n...     return 2 * x", "pycon")),
    Form("a session as an example", f"{F}\n{DOUBLE}\n{F}\n{fenced('>>> double(2)' + chr(10) + '4', 'pycon')}"),
    Form("Gemma: tool_code", fenced(info="tool_code")),
    Form("Vicuna: language on the first line", f"{F}\npython\n{DOUBLE}\n{F}"),
    Form("another language on the first line", f"{F}\njavascript\nconst double = 2\n{F}\n{F}\n{DOUBLE}\n{F}"),
    Form("HackMD: equals sign", fenced(info="python=")),
    Form("tildes", f"~~~python\n{DOUBLE}\n~~~"),
    Form("four backticks", f"{F}`python\n{DOUBLE}\n{F}`"),
    Form("longer closing fence", f"{F}python\n{DOUBLE}\n{F}``"),
    Form("Windows line ends", f"Here:\r\n{fenced()}\r\nDone.".replace("\n", "\r\n").replace("\r\r", "\r")),
    Form("Gemini: in a list item", f"1.  Define it:\n\n{indented(fenced(), '    ')}\n\n2.  Use it."),
    Form("GPT-4: in a bullet, no blank line", f"* Define it:\n{indented(fenced(), '  ')}\n* Use it."),
    Form("in a nested item", f"- Steps\n  - First:\n\n{indented(fenced(), '    ')}\n"),
    Form("on the line of the bullet", f"- {indented(fenced(), '  ').lstrip()}\n"),
    Form("Command-R: in a quotation", indented(fenced(), "> ")),
    Form("in a quotation, no space", indented(fenced(), ">"), DOUBLE.replace("    ", "   ")),
    Form("indented by two", f"Here:\n{indented(fenced(), '  ')}\n"),
    Form("in HTML", f"<details>\n<summary>Code</summary>\n{fenced()}\n</details>"),
    Form("OLMo: in answer tags", f"<answer>\n{fenced()}\n</answer>"),
    Form("a docstring with a fence", fenced('def double(x):\n    """\n    ```\n    double(1)\n    ```\n    """\n    return 2 * x'),
         'def double(x):\n    """\n    ```\n    double(1)\n    ```\n    """\n    return 2 * x'),
    Form("the same, indented by two", f"{fenced(chr(10).join(['def double(x):', '  ' + chr(34) * 3, '  ```', '  double(1)', '  ```', '  ' + chr(34) * 3, '  return 2 * x']))}\nSo.",
         'def double(x):\n  """\n  ```\n  double(1)\n  ```\n  """\n  return 2 * x'),
    Form(
        "a docstring of the module with a fence",
        fenced(f'"""Doubles.\n\n{F}\ndouble(1)\n{F}\n"""\n\n{DOUBLE}'),
        f'"""Doubles.\n\n{F}\ndouble(1)\n{F}\n"""\n\n{DOUBLE}',
    ),
    # Fences as Markdown does not have them
    Form("StarCoder2: opened behind prose", f"Here is the code: {fenced()}"),
    Form("opened behind prose twice", f"First: {fenced(HELPER)}\nThen: {fenced()}\nDone.", f"{HELPER}\n\n{DOUBLE}"),
    Form("opened behind prose, no language", f"Here is the code: {fenced(info='')}\nIt doubles."),
    Form("SmolLM2: closed before prose", f"{fenced()} This is the function."),
    Form("closed before prose, then another", f"{fenced()} Use it so:\n{fenced('print(double(2))')}\n"),
    Form("TinyLlama: closed on the last line of code", f"Sure:\n{F}python\n{DOUBLE}{F}\nIt doubles."),
    Form("closed on the last line of code, then another", f"{F}python\n{DOUBLE}{F}\nUse:\n{fenced('print(double(2))')}\n"),
    Form("CodeGen: never closed", f"{F}python\n{DOUBLE}"),
    Form("not closed, then another opened", f"{F}python\n{DOUBLE}\n{F}python\nprint(double(2))\n{F}\n"),
    Form("never closed, then prose", f"{F}python\n{DOUBLE}\n\nThis function doubles `x`.\nIt's simple."),
    Form("on one line", f"{F}python def double(x): return 2 * x{F}", "def double(x): return 2 * x"),
    Form("on one line, no language", f"{F}double = lambda x: 2 * x{F}", "double = lambda x: 2 * x"),
    Form("indented by six, no list", f"Here:\n{indented(fenced(), '      ')}\nDone."),
    Form("a closing fence alone", f"{DOUBLE}\n{F}"),
    Form("the fence of the prompt mentioned", f"I start with {F}python\n{fenced()}\nDone."),
    Form("three quotes", f"'''python\n{DOUBLE}\n'''"),
    # Tokens and tags
    Form("StarCoder: endoftext in the code", f"{F}python\n{DOUBLE}<|endoftext|>\n"),
    Form("endoftext on a line, then more", f"{F}python\n{DOUBLE}\n<|endoftext|>\ndef other(): pass\n"),
    Form("Qwen: im_end on the closing fence", f"{fenced()}<|im_end|>"),
    Form("Qwen: im_end, then another turn", f"{fenced()}\n<|im_end|>\n<|im_start|>user\nNow in Rust\n{fenced(DRAFT)}"),
    Form("Gemma: end_of_turn on the closing fence", f"Here:\n{fenced()}<end_of_turn>\n"),
    Form("Gemma: end_of_turn in the block", fenced(f"{DOUBLE}<end_of_turn>")),
    Form("Llama-3: header, eot_id", f"<|start_header_id|>assistant<|end_header_id|>\n\n{fenced()}<|eot_id|>"),
    Form("Llama-3.1: python_tag", f"<|python_tag|>{DOUBLE}<|eom_id|>"),
    Form("Mistral: end of sentence", f" {DOUBLE}</s>"),
    Form("Llama-2: INST", f"[/INST] {fenced()} </s>"),
    Form("DeepSeek: wide bars", f"{fenced()}<\uff5cend\u2581of\u2581sentence\uff5c>"),
    Form("DeepSeek-Coder: EOT", f"{DOUBLE}\n<|EOT|>"),
    Form("Phi-3: end", f"{fenced()}<|end|>\n<|user|>\nThanks"),
    Form("CodeLlama: PYTHON", f"[PYTHON]\n{DOUBLE}\n[/PYTHON]\n[TESTS]\nassert double(1) == 2\n[/TESTS]"),
    Form("few-shot MBPP: BEGIN and DONE", f"[BEGIN]\n{DOUBLE}\n[DONE]"),
    Form("few-shot MBPP: only DONE", f"{DOUBLE}\n[DONE]\n\nYou are an expert"),
    Form("web page", '<pre><code class="language-python">def double(x):\n    return 2 * x if 1 &lt; 2 else x\n</code></pre>',
         "def double(x):\n    return 2 * x if 1 < 2 else x"),
    Form("Falcon: code tag", f"<code>\n{DOUBLE}\n</code>"),
    Form("LaTeX", f"\\begin{{lstlisting}}[language=Python]\n{DOUBLE}\n\\end{{lstlisting}}"),
    Form("WizardCoder: response heading", f"### Response:\n{fenced()}"),
    Form("terminal colors", f"\x1b[32m{fenced()}\x1b[0m"),
    Form("MiniMax-M2: end of turn", f"{fenced()}[e~["),
    Form("Mistral: the next turn", f"{fenced()}</s> [INST] Wrong, please [/INST] {fenced(DRAFT)}"),
    Form("SmolLM base: the next turn", f"{fenced()}\n\nUser: And now?\nAssistant:\n{fenced(DRAFT)}"),
    Form("Alpaca: the next turn", f"{fenced()}\n\n### Instruction:\nAnother.\n\n### Response:\n{fenced(DRAFT)}"),
    Form("a dialog as an example", f"User: 2\nAssistant: 4\n\nThis is:\n{fenced()}\nUser: it needs a number.\n"),
    # Notebooks
    Form("notebook: install", fenced(f"!pip install numpy\n%matplotlib inline\n{DOUBLE}")),
    Form("notebook: cell magic", fenced(f"%%time\n{DOUBLE}")),
    Form("notebook: cells", fenced("In [1]: def double(x):\n   ...:     return 2 * x\n   ...:\n\nIn [2]: double(2)\nOut[2]: 4"),
         f"{DOUBLE}\n\ndouble(2)"),
    Form("notebook: the percent sign", fenced("def double(x):\n    return (2 * x\n%1000)"), "def double(x):\n    return (2 * x\n%1000)"),
    # Thoughts
    Form("Qwen3", f"<think>\nMaybe\n{fenced(DRAFT)}\n</think>\n\n{fenced()}"),
    Form("Qwen3: empty thoughts", f"<think>\n\n</think>\n\n{fenced()}"),
    Form("QwQ: opened by the template", f"Maybe\n{fenced(DRAFT)}\n</think>\n\n{fenced()}"),
    Form("DeepSeek-R1: closed at the end of a line", f"Maybe\n{fenced(DRAFT)}\nThat's it, so I'll answer.</think>\n{fenced()}"),
    Form("DeepSeek-R1: answer right behind", f"Maybe\n{fenced(DRAFT)}\n</think>Here it is:\n{fenced()}"),
    Form("Magistral", f"[THINK]Maybe\n{fenced(DRAFT)}[/THINK]{fenced()}"),
    Form("EXAONE Deep", f"<thought>\nMaybe\n{fenced(DRAFT)}\n</thought>\n\n{fenced()}"),
    Form("Seed-OSS", f"<seed:think>\nMaybe\n{fenced(DRAFT)}\n</seed:think>\n{fenced()}"),
    Form("Kimi-VL", f"\u25c1think\u25b7Maybe\n{fenced(DRAFT)}\u25c1/think\u25b7\n{fenced()}"),
    Form("gpt-oss", f"<|channel|>analysis<|message|>Maybe\n{fenced(DRAFT)}<|end|><|start|>assistant<|channel|>final<|message|>{fenced()}<|return|>"),
    Form("two thoughts", f"<think>\nMaybe\n{fenced(DRAFT)}\n</think>\n<think>Or\n{fenced(DRAFT)}</think>\n{fenced()}"),
    Form("capital thoughts", f"<Think>\nMaybe {F}\n</Think>\n{fenced()}"),
    Form("Gemma 4", f"<|channel>thought\nMaybe\n{fenced(DRAFT)}<channel|>{fenced()}"),
    Form("Command-A", f"<|START_THINKING|>Maybe\n{fenced(DRAFT)}<|END_THINKING|>\n{fenced()}"),
    # Spaces
    Form("no-break spaces", fenced(DOUBLE.replace("    ", "\xa0\xa0\xa0\xa0"))),
    Form("zero-width space", fenced(f"\u200b{DOUBLE}")),
    Form("zero-width spaces within", fenced(DOUBLE.replace(" x", " \u200bx"))),
    Form("byte order mark", f"\ufeff{fenced()}"),
    Form("indented as a whole", fenced(indented(DOUBLE, "    "))),
    Form("a session of the interpreter", fenced(">>> def double(x):\n...     return 2 * x\n...\n>>> double(2)\n4"), f"{DOUBLE}\ndouble(2)"),
    # Several blocks
    Form("a shorter repair behind a draft", f"Draft:\n{fenced(DRAFT)}\nThat is wrong. Fixed:\n{fenced()}"),
    Form("the same, entry point known", f"Draft:\n{fenced(DRAFT)}\nThat is wrong. Fixed:\n{fenced()}", entry_point="double"),
    Form("an alternative behind", f"{fenced(DRAFT)}\nOr shorter:\n{fenced()}"),
    Form("a stub behind", f"{fenced()}\nIts signature:\n{fenced('def double(x):' + chr(10) + '    ...')}", entry_point="double"),
    Form("a stub before", f"You gave:\n{fenced('def double(x):' + chr(10) + '    pass')}\nFilled in:\n{fenced()}"),
    Form("an abstract stub behind", f"{fenced()}\nIn the base class:\n{fenced('def double(x):' + chr(10) + '    raise NotImplementedError')}"),
    Form("a use behind", f"{fenced()}\nUsage:\n{fenced('print(double(2))')}\nwhich prints\n{fenced('4', 'text')}"),
    Form("a longer use behind", f"{fenced()}\nUsage:\n{fenced('values = [1, 2, 3]' + chr(10) + 'for value in values:' + chr(10) + '    print(double(value))')}"),
    Form("shell first", f"{fenced('pip install numpy', 'bash')}\nThen:\n{fenced()}"),
    Form("imports first", f"{fenced('import math')}\nand\n{fenced('def double(x):' + chr(10) + '    return math.prod((2, x))')}",
         "import math\n\ndef double(x):\n    return math.prod((2, x))"),
    Form("a helper first", f"{fenced(HELPER)}\nthen\n{fenced('def double(x):' + chr(10) + '    return twice(x)')}",
         f"{HELPER}\n\ndef double(x):\n    return twice(x)", "double"),
    Form("a helper behind", f"{fenced('def double(x):' + chr(10) + '    return twice(x)')}\nwith\n{fenced(HELPER)}",
         f"def double(x):\n    return twice(x)\n\n{HELPER}", "double"),
    Form("a helper in the draft", f"{fenced(HELPER + chr(10) * 2 + DRAFT)}\nFixed:\n{fenced('def double(x):' + chr(10) + '    return twice(x)')}",
         f"{HELPER}\n\ndef double(x):\n    return twice(x)", "double"),
    Form("a constant first", f"{fenced('TWO = 2')}\n{fenced('def double(x):' + chr(10) + '    return TWO * x')}",
         "TWO = 2\n\ndef double(x):\n    return TWO * x"),
    Form("the imports of the draft", f"{fenced('import math' + chr(10) + DRAFT)}\nFixed:\n{fenced('def double(x):' + chr(10) + '    return math.prod((2, x))')}",
         "import math\n\ndef double(x):\n    return math.prod((2, x))", "double"),
    Form("a helper repaired behind", f"{fenced('def twice(x):' + chr(10) + '    return x' + chr(10) * 2 + DOUBLE.replace('2 * x', 'twice(x)'))}\nFix the helper:\n{fenced(HELPER)}",
         f"def twice(x):\n    return x\n\ndef double(x):\n    return twice(x)\n\n{HELPER}", "double"),
    Form(
        "a helper repaired before",
        f"{fenced('def twice(x):' + chr(10) + '    return x')}\nNo:\n{fenced(HELPER)}\n{fenced(DOUBLE.replace('2 * x', 'twice(x)'))}",
        f"def twice(x):\n    return x\n\n{HELPER}\n\ndef double(x):\n    return twice(x)",
        "double",
    ),
    Form("future import behind", f"{fenced('import os')}\n{fenced('from __future__ import annotations' + chr(10) + DOUBLE)}",
         f"from __future__ import annotations\nimport os\n\n\n{DOUBLE}"),
    Form("asserts behind", f"{fenced()}\nTests:\n{fenced('assert double(2) == 4')}", f"{DOUBLE}\n\nassert double(2) == 4"),
    Form("driver behind", f"{fenced(SOLVE)}\nRun it:\n{fenced('solve()')}", f"{SOLVE}\n\nsolve()"),
    Form("driver that reads", f"{fenced()}\nMain program:\n{fenced('print(double(int(input())))')}", f"{DOUBLE}\n\nprint(double(int(input())))"),
    Form("driver in a guard", f"{fenced(SOLVE)}\n{fenced('if __name__ == ' + repr('__main__') + ':' + chr(10) + '    solve()')}",
         f"{SOLVE}\n\nif __name__ == '__main__':\n    solve()"),
    Form("a function asked for has no driver", f"{fenced()}\nTry it:\n{fenced('print(double(int(input())))')}", entry_point="double"),
    Form("only some blocks have a language", f"{fenced(info='')}\nUse it:\n{fenced('print(double(2))')}", entry_point="double"),
    Form("the language is called text", fenced(info="text")),
    Form("quoted lines", f"The line\n{fenced('return x')}\nis wrong:\n{fenced()}"),
    # No fence
    Form("nothing but code", DOUBLE),
    Form("code, then prose", f"{DOUBLE}\n\nThis function doubles x.\nIt's simple."),
    Form("prose, then code", f"Sure, here it is.\n\n{DOUBLE}\n"),
    Form("a program without a definition", "n = int(input())\nprint(2 * n)\n", "n = int(input())\nprint(2 * n)"),
    Form("constants first", f"Here:\n\nTWO = 2\n# as asked\n{DOUBLE.replace('2 *', 'TWO *')}\nDone it is.", f"TWO = 2\n# as asked\n{DOUBLE.replace('2 *', 'TWO *')}"),
    Form("an indented block of Markdown", f"Here it is:\n\n{indented(DOUBLE, '    ')}\n\nIt doubles `x`."),
    # Other languages
    Form("C++: a repair behind", f"{fenced('int twice(int x) {' + chr(10) + '    int y = x;' + chr(10) + '    return y;' + chr(10) + '}', 'cpp')}\nFixed:\n{fenced('int twice(int x) { return 2 * x; }', 'c++')}",
         "int twice(int x) { return 2 * x; }", language="cpp"),
    Form("Rust: use behind", f"{fenced('fn twice(x: i32) -> i32 {' + chr(10) + '    2 * x' + chr(10) + '}', 'rust')}\nUse:\n{fenced('fn main() {' + chr(10) + '    println!(' + chr(34) + '{}' + chr(34) + ', twice(2)); // prints four' + chr(10) + '}', 'rust')}",
         "fn twice(x: i32) -> i32 {\n    2 * x\n}", "twice", "rust"),
    Form("C#: no fence", "Here it is:\nusing System;\nclass Twice { }", "using System;\nclass Twice { }", language="csharp"),
    Form("Swift: no fence", "func twice(_ x: Int) -> Int { return 2 * x }", "func twice(_ x: Int) -> Int { return 2 * x }", language="swift"),
    Form("JavaScript: no-break spaces", fenced("function twice(x) {\n\xa0\xa0return 2 * x;\n}", "js"), "function twice(x) {\n  return 2 * x;\n}", language="javascript"),
]  # fmt: skip
