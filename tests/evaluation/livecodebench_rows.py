"""Rows of LiveCodeBench's form, written for these tests, and answers to them."""

import base64
import json
import pickle
import zlib


def pack(tests):
    """Tests as the hidden ones are stored."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def stdin(*pairs):
    return [{"input": given, "output": printed, "testtype": "stdin"} for given, printed in pairs]


def functional(*pairs):
    return [{"input": given, "output": result, "testtype": "functional"} for given, result in pairs]


def row(name, **changes):
    known = {
        "question_title": name.title(),
        "platform": "atcoder",
        "question_id": name,
        "contest_id": "t1",
        "contest_date": "2024-08-17T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "metadata": "{}",
    }
    return known | changes


MEAN = row(
    "mean",
    question_content="Print the mean of the numbers in each line of the input, and the number of lines.",
    public_test_cases=json.dumps(stdin(("1 2\n", "1.5\n1\n"))),
    private_test_cases=pack(stdin(("1 2\n4 4\n", "1.5\n4\n2\n"), ("3\n", "3 \n1"))),
)
PAIRS = row(
    "pairs",
    platform="leetcode",
    contest_date="2025-02-28T00:00:00",
    question_content="Return the places of the two numbers that add up to the target.",
    starter_code="class Solution:\n    def pairs(self, numbers: List[int], target: int) -> List[int]:\n        ",
    public_test_cases=json.dumps(functional(("[2, 7, 11]\n9", "[0, 1]"))),
    private_test_cases=json.dumps(functional(("[3, 2, 4]\n6", "[1, 2]"), ("[1, 1]\n2", "[0, 1]"))),
    metadata=json.dumps({"func_name": "pairs"}),
)
HALF = row(
    "half",
    contest_date="2025-03-01T12:00:00",
    question_content="Return half of it.",
    starter_code="def half(x: float) -> float:\n    ",
    public_test_cases=functional(("3.0", "1.5")),
    private_test_cases=functional(("-1", "-0.5"), ("1e400", "Infinity")),
    metadata={"func_name": "half"},
)
ROWS = [MEAN, PAIRS, HALF]

RIGHT = {
    "mean": """
def main():
    lines = [line for line in sys.stdin.read().split("\\n") if line]
    for line in lines:
        numbers = list(map(int, line.split()))
        print(sum(numbers) / len(numbers))
    print(len(lines))

if __name__ == "__main__":
    main()
""",
    "pairs": """
class Solution:
    def pairs(self, numbers: List[int], target: int) -> List[int]:
        seen = Counter()
        for place, number in enumerate(numbers):
            if target - number in seen:
                return seen[target - number], place
            seen[number] = place
""",
    "half": "def half(x):\n    return x / 2\n",
}
WRONG = {
    "mean": [
        RIGHT["mean"].replace("print(len(lines))", "pass"),  # a prefix of what is expected
        RIGHT["mean"].replace("print(len(lines))", "print(len(lines)); print(0)"),  # and more than that
        RIGHT["mean"].replace("/ len", "// len"),
        RIGHT["mean"].replace("print(sum(numbers) / len(numbers))", "print(sum(numbers) / len(numbers) + 1e-9)"),
        RIGHT["mean"].replace("print(sum(numbers) / len(numbers))", "print(sum(numbers) / len(numbers), end=' ')"),
        "print('1.5')\nprint(1)\n",  # knows the public test only
        "import os\nprint('1.5\\n1', flush=True)\nos._exit(0)\n",
        "raise SystemExit\n",
        "print(undefined)\n",
        "def main(:\n",
    ],
    "pairs": [
        RIGHT["pairs"].replace("place\n            seen", "place, 0\n            seen"),
        RIGHT["pairs"].replace("return seen[target - number], place", "return [seen[target - number]]"),
        RIGHT["pairs"].replace("return seen[target - number], place", "return [[seen[target - number], place]]"),
        "class Solution:\n    def pairs(self, numbers, target):\n        return [0, 1]\n",
        "class Solution:\n    def pairs(self, numbers, target):\n        return self\n    def __eq__(self, other):\n        return True\n",
        "class Any(list):\n    __eq__ = lambda self, other: True\nclass Solution:\n    def pairs(self, numbers, target):\n        return Any()\n",
        "import os\nclass Solution:\n    def pairs(self, numbers, target):\n        os._exit(0)\n",
        "class Solution:\n    def other(self, numbers, target):\n        return [0, 1]\n",
        "def pairs(numbers, target):\n    return 0 < 1\n",
        "print('ok')\n",
    ],
    "half": ["def half(x):\n    return x // 2\n", "def half(x):\n    return str(x / 2)\n", "half = 0.5\n"],
}
