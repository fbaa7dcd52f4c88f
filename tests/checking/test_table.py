r"""Right and wrong answers beside each other: what a text says, what is expected, and what comes of it."""

import asyncio

import pytest

from reflection_trl.checking import compare_answers
from reflection_trl.feedback import FeedbackKind


RIGHT, WRONG, FORM = FeedbackKind.NONE, FeedbackKind.ASSERTION, FeedbackKind.TYPE
NONE, UNREADABLE, TOO_LARGE = FeedbackKind.NO_ANSWER, FeedbackKind.SYNTAX, FeedbackKind.TIMEOUT

# expected, what stands in the box, verdict
BOXED = [
    # Equations: each side without a name is an answer
    ("6", "3 + 3 = 6", RIGHT),
    ("6", "x = 6", RIGHT),
    ("6", "f(2) = 6", RIGHT),
    (r"\frac{1}{2}", r"\cos \theta = \frac{2}{4} = 0.5", RIGHT),
    ("1, 2", "x = 1, x = 2", RIGHT),
    (r"\frac{1}{3}", r"\frac{1}{3} \approx 0.33", RIGHT),
    (r"2\sqrt{3}", r"x = 2\sqrt{3} \approx 3.46", RIGHT),
    ("3.46", r"2\sqrt{3} \approx 3.46", RIGHT),
    ("11", r"x \approx 11", RIGHT),
    ("11", r"\approx 11", RIGHT),
    ("11", "\u2248 11", RIGHT),
    ("11", r"11.2 \approx 11", WRONG),
    ("11", r"2\pi \approx 12", WRONG),
    (r"\frac{1}{3}", r"\frac{1}{2} \approx 0.33", WRONG),
    ("6", "7 = 6", WRONG),
    ("6", "6 = 7", WRONG),
    ("6", "x = 7 = 6", WRONG),
    # Bases
    ("101_2", "101_{2}", RIGHT),
    ("101_2", "101", RIGHT),
    ("101_2", "101_3", WRONG),
    ("101_2", "5", WRONG),
    ("101_2", "0101_2", RIGHT),
    ("101_2", "(101)_2", RIGHT),
    ("101_2", r"101_{\text{two}}", RIGHT),
    (r"101_{\text{two}}", "101_2", RIGHT),
    ("-101_2", "101_2", WRONG),
    ("FF_{16}", "ff_{16}", RIGHT),
    ("2A_{16}", "2a", RIGHT),
    ("101", "101_2", WRONG),
    ("101", "101_{10}", RIGHT),
    ("101", "101_{99}", WRONG),
    ("5", "101_2", RIGHT),
    ("5", "5_0", WRONG),
    ("5", "101_2 = 5", RIGHT),
    ("-5", "-101_2", RIGHT),
    ("255", "FF_{16}", RIGHT),
    ("6", "6_7", RIGHT),
    ("9", "9_7", WRONG),
    ("9", "x_9", WRONG),
    ("10", "a_{12}", WRONG),
    ("x_1", "x_{1}", RIGHT),
    ("A_5", "A_{5}", RIGHT),
    ("3", r"\log_2 8", RIGHT),
    ("3", r"\log_2 8 9", UNREADABLE),
    ("1 0", "10", WRONG),
    # Integers, thousands separators
    ("72", "72", RIGHT),
    ("72", "73", WRONG),
    ("72", "-72", WRONG),
    ("72", "72.0", RIGHT),
    ("72", "72.5", WRONG),
    ("72", "7.2", WRONG),
    ("72", "720", WRONG),
    ("0", "-0", RIGHT),
    ("007", "7", RIGHT),
    ("-5", "\u22125", RIGHT),
    ("-5", "5", WRONG),
    ("1,080", "1080", RIGHT),
    ("1080", "1,080", RIGHT),
    ("1080", "1{,}080", RIGHT),
    ("1080", r"1\,080", RIGHT),
    ("1080", "1 080", RIGHT),
    ("1080", "1,80", WRONG),
    ("1080", "10,80", WRONG),
    ("109,200,000", "109200000", RIGHT),
    ("109200000", "109,200", WRONG),
    ("1234", "(1,234)", WRONG),
    # Decimals, rounding
    ("0.5", ".5", RIGHT),
    ("0.5", "0.50", RIGHT),
    ("0.5", "0.05", WRONG),
    ("3.14", "3.1416", WRONG),
    ("0.1", "0.10000001", WRONG),
    ("0.0000001", "0.0000002", WRONG),
    ("1/3", "0.333333", RIGHT),
    ("1/3", "0.33", WRONG),
    ("1/3", "0.333334", WRONG),
    ("2/3", "0.666667", RIGHT),
    ("2/3", "0.666666", RIGHT),
    ("2/3", "-0.666667", WRONG),
    ("0.5", "0.499999", WRONG),
    ("1/3000000", "0.000000", WRONG),
    ("1.5e3", "1500", RIGHT),
    ("1500", r"1.5 \times 10^3", RIGHT),
    ("1500", r"1.5 \times 10^{4}", WRONG),
    ("10^3", "1000", RIGHT),
    # Fractions, mixed fractions
    ("1/2", "0.5", RIGHT),
    ("1/2", r"\frac{1}{2}", RIGHT),
    (r"\frac12", r"\dfrac{2}{4}", RIGHT),
    ("1/2", "2/1", WRONG),
    ("7/2", "3 1/2", RIGHT),
    ("7/2", r"3\frac{1}{2}", RIGHT),
    ("7/2", r"3\frac12", RIGHT),
    ("3/2", "3 1/2", WRONG),
    ("31/2", "3 1/2", WRONG),
    ("7/2", "31/2", WRONG),
    ("-7/2", "-3 1/2", RIGHT),
    ("1", "1/0", WRONG),
    # Percentages
    ("50", r"50\%", RIGHT),
    ("50%", "50", RIGHT),
    ("50%", "1/2", RIGHT),
    ("0.5", "50%", RIGHT),
    ("0.5", "0.5%", WRONG),
    ("50", "0.5%", WRONG),
    ("50", "50 percent", RIGHT),
    ("12.5%", "12.5%", RIGHT),
    ("12.5%", "13%", WRONG),
    # Currencies, units
    ("5", r"\$5", RIGHT),
    ("5", "$5.00", RIGHT),
    ("5", "5 dollars", RIGHT),
    ("$5", "5 euros", WRONG),
    ("18", "18 apples", RIGHT),
    ("18", "19 apples", WRONG),
    ("18", "18 apples and 2 pears", FORM),
    (r"5\text{ cm}", "5", RIGHT),
    (r"5\text{ cm}", r"5\text{ m}", WRONG),
    (r"5\text{ cm}", "5 centimeters", RIGHT),
    ("60", "60 km/h", RIGHT),
    ("12", r"12 \text{ cm}^2", RIGHT),
    ("90", r"90^\circ", RIGHT),
    ("5000000", "5 million", RIGHT),
    ("5", "5 million", WRONG),
    ("24", "2 dozen", RIGHT),
    ("5", "5x", WRONG),
    ("5", "5 x", WRONG),
    ("5", r"5\pi", WRONG),
    ("5", "5 times 2", FORM),
    ("3:30", "3:30 pm", WRONG),
    ("3:30", "6:60", WRONG),
    ("3:30 PM", "3:30 p.m.", RIGHT),
    ("8", r"8\text{ oz}", RIGHT),
    ("8", "8 mi", RIGHT),
    ("8", "8 ft^2", RIGHT),
    ("8", "8 sq. ft.", RIGHT),
    ("8", "8 mL", RIGHT),
    ("8", "8 (cm)", RIGHT),
    ("8", "8(x)", WRONG),
    ("8", r"\$8/\text{day}", RIGHT),
    ("8", "8/x", WRONG),
    ("8", "8€", RIGHT),
    ("$8", "8€", WRONG),
    ("8", "8 sec", RIGHT),
    ("8", "8 times", RIGHT),
    ("8", "8 times two", FORM),
    ("8", "8 more apples", RIGHT),
    ("8", "8 more than two", FORM),
    ("8", "8 squared", FORM),
    ("8", "8 tenths", FORM),
    ("8", "8 lakh", FORM),
    (r"8\text{ square feet}", r"8\text{ ft}^2", RIGHT),
    (r"8\text{ ft}^2", "8 feet squared", RIGHT),
    (r"8\text{ square feet}", "8 feet", WRONG),
    (r"8\text{ square feet}", "8 cubic feet", WRONG),
    (r"8\text{ inches}", "8 in.", RIGHT),
    (r"8\text{ pounds}", "8 lbs", RIGHT),
    (r"8\text{ miles per hour}", "8 mph", RIGHT),
    (r"8\text{ boxes}", "8 box", RIGHT),
    (r"8\text{ cookies}", "8 cookie", RIGHT),
    (r"8\text{ cities}", "8 city", RIGHT),
    (r"8^\circ\text{C}", "8 degrees Celsius", RIGHT),
    # Recurring decimals
    (r"\frac{1}{3}", r"0.\overline{3}", RIGHT),
    (r"0.1\overline{6}", r"\frac{1}{6}", RIGHT),
    (r"0.\overline{142857}", "1/7", RIGHT),
    (r"-\frac{5}{11}", r"-0.\bar{45}", RIGHT),
    (r"\frac{1}{3}", r"0.\overline{2}", WRONG),
    (r"\frac{1}{3}", r"0.\overline{33}4", UNREADABLE),
    ("1/3", "0.333333...", RIGHT),
    # Expressions
    ("5", "x = 5", RIGHT),
    ("x=5", "5", RIGHT),
    ("x=5", "6", WRONG),
    ("5", "2 + 3", RIGHT),
    ("5", "2 + 2", WRONG),
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}", RIGHT),
    (r"\sqrt{2}", r"\sqrt{3}", WRONG),
    (r"\sqrt{2}", r"\sqrt{2}\text{ meters}", RIGHT),
    (r"2\pi", "6.28", WRONG),
    (r"2\pi", r"\pi \cdot 2", RIGHT),
    (r"\frac{\pi}{10^9}", r"\frac{2\pi}{10^9}", WRONG),
    ("x^2-1", "(x-1)(x+1)", RIGHT),
    ("x^2-1", "(x-1)^2", WRONG),
    ("abc", "bca", WRONG),
    (r"x \le 3", r"3 \ge x", RIGHT),
    (r"x \le 3", "x < 3", WRONG),
    # Sets, pairs, intervals, matrices
    (r"\{1, 2\}", r"\{2, 1\}", RIGHT),
    (r"\{1, 2\}", r"\{1, 3\}", WRONG),
    ("1, 2", "2, 1", RIGHT),
    ("1, 2", "1", WRONG),
    ("5", "5 or 6", WRONG),
    ("(1, 2)", "(1,2)", RIGHT),
    ("(1, 2)", "(2, 1)", WRONG),
    ("[1, 2]", "(1, 2)", WRONG),
    (r"(-\infty, 3]", r"(-\infty,3)", WRONG),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}", RIGHT),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}", WRONG),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}", RIGHT),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"A = \begin{bmatrix}1&2\\3&4\\\end{bmatrix}", RIGHT),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\left[\begin{array}{cc}1&2\\[2pt]3&4\end{array}\right]", RIGHT),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{bmatrix}1&2\\3&5\end{bmatrix}", WRONG),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", WRONG),
    (r"\begin{pmatrix} \frac{1}{2} \\ -\sqrt{8} \end{pmatrix}", r"\begin{pmatrix} 0.5 \\ -2\sqrt{2} \end{pmatrix}", RIGHT),
    (r"\begin{pmatrix} \frac{1}{2} \\ 2 \end{pmatrix}", r"\begin{pmatrix} 0.5 & 2 \end{pmatrix}", WRONG),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \\ 3 \end{pmatrix}", WRONG),
    (r"\{1, 2\}", "(1, 2)", WRONG),
    ("(1, 2)", r"\{1, 2\}", WRONG),
    ("(0.0000001, 1)", "(0.0000002, 1)", WRONG),
    (r"\{0.0000001\}", r"\{0.0000002\}", WRONG),
    ("(0.5, 1)", r"\left(\frac{1}{2}, 1\right)", RIGHT),
    (r"\emptyset", r"\varnothing", RIGHT),
    (r"\emptyset", "\u2205", RIGHT),
    (r"\mathbb{R}", r"\mathbb R", RIGHT),
    (r"\mathbb{R}", r"\mathbb{Q}", WRONG),
    # What math-verify would skip
    ("x", "x'", WRONG),
    ("7", "7'", WRONG),
    ("x'", "x'", RIGHT),
    ("7", r"\phantom{7}", WRONG),
    ("7", "7...", WRONG),
    ("1, 2", r"1, 2, \ldots", WRONG),
    ("1, 2", "1, 2, ...", WRONG),
    (r"\{1\}", r"\{1\}^c", WRONG),
    ("3:2", "3:2:1", WRONG),
    ("3:2:1", "3:2:5", WRONG),
    ("3:2:1", r"3 : \frac{4}{2} : 1", RIGHT),
    # Degrees in expressions, fonts, binomials
    (r"\frac{1}{\sqrt{3}}", r"\tan 30^\circ", RIGHT),
    (r"10\cos 20^\circ", r"10\sin(70^\circ)", RIGHT),
    (r"\sin 30^\circ", r"\sin 30", WRONG),
    ("7", r"\bf 7", RIGHT),
    ("10", r"\binom52", RIGHT),
    # Words
    ("Paris", "paris", RIGHT),
    ("Paris", "London", WRONG),
    ("listen", "silent", WRONG),
    (r"\text{Evelyn}", "Evelyn", RIGHT),
    ("yes", "No", WRONG),
    ("72", "seventy", FORM),
    ("72", "many", FORM),
    ("Paris", "72", FORM),
    # Nothing that can be read, nothing that can be evaluated
    ("72", "", NONE),
    ("72", "{}", NONE),
    ("72", r"\frac{", NONE),
    ("72", r"7 2 \sqrt{}", UNREADABLE),
    ("72", "???", UNREADABLE),
    ("72", "7" * 2000, UNREADABLE),
    ("9" * 150, "9" * 150, RIGHT),
    ("72", "1e999999999", UNREADABLE),
    ("72", "__import__('os').system('true')", FORM),
    (r"\infty", r"-\infty", WRONG),
    ("5", r"\infty", WRONG),
    ("1", "nan", FORM),
]  # fmt: skip

# expected, the whole text, verdict
TEXTS = [
    ("72", r"So it is \boxed{72}.", RIGHT),
    ("72", "She sold 72 clips.", NONE),
    ("72", "48 + 24 = 72", NONE),
    ("72", "48 + 24 = 72\n#### 72", RIGHT),
    ("72", "#### 71\n#### 72", RIGHT),
    ("72", "The answer is 72.", RIGHT),
    ("72", "The answer is 72 clips, because 48 + 24 = 72.", RIGHT),
    ("72", "**Final answer:** $72$", RIGHT),
    ("72", "The answer is 72, or maybe 71.", FORM),
    ("72", "The answer is 72, she says.", RIGHT),
    ("72", "Answer: 71", WRONG),
    ("72", "**Answer:**\n\n72", RIGHT),
    ("72", "The final answer is:\n\\[\n72\n\\]", RIGHT),
    ("72", "Answer:\n71\n72", WRONG),
    ("72", "Thus, answer is 72.", RIGHT),
    ("72", "The answer is 72; or 73.", UNREADABLE),
    ("72", "The answer is 72. No, wait: the answer is 71.", WRONG),
    ("3.5", "The answer is 3.5.", RIGHT),
    ("72", r"\boxed{71} is wrong. It is \boxed{72}.", NONE),
    ("72", r"\boxed{72}. It is not \boxed{71}.", NONE),
    ("72", r"\boxed{72}, that is \boxed{72.0}.", RIGHT),
    ("1, 2, 3", r"\boxed{3}, \boxed{1} and \boxed{2}", RIGHT),
    ("(2, 2), (6, 2)", r"\boxed{(2, 2)} and \boxed{(6, 2)}", RIGHT),
    ("k = 45, n = 2", r"\boxed{k = 45} and \boxed{n = 2}", RIGHT),
    ("1, 2", r"\boxed{1}, \boxed{2}, \boxed{3}", WRONG),
    ("1, 2, 3", r"\boxed{1}, \boxed{2}", WRONG),
    ("12", r"\boxed{1}, \boxed{2}", WRONG),
    ("125 miles", r"\boxed{125\textnormal{ miles}}", RIGHT),
    ("72", r"\boxed{71}, or \boxed{73}.", WRONG),
    ("72", " ".join(rf"\boxed{{{number}}}" for number in range(70, 90)), NONE),
    ("72", r"The answer is 71. \boxed{72}", RIGHT),
    ("72", r"The answer is 72. \boxed{71}", WRONG),
    ("72", r"Put it in \boxed{}. The answer is 72.", RIGHT),
    ("72", r"It is \boxed{72", NONE),
    ("72", "```python\nprint(r'\\boxed{72}')\n```", NONE),
    ("72", r"\boxed{\text{72 clips}}", RIGHT),
    ("72", r"\boxed{\boxed{72}}", RIGHT),
    ("72", r"$\boxed{72}$ clips", RIGHT),
    ("72", r"\boxed 72", RIGHT),
    ("72", "", NONE),
    (r"\frac{1}{2}", r"\boxed{\frac{1}{2}}", RIGHT),
]  # fmt: skip


def verdict(text, expected, checker="math", choices=()):
    return asyncio.run(compare_answers(text, expected, checker, choices))


@pytest.mark.parametrize(("expected", "answer", "kind"), BOXED)
def test_boxed_answers(expected, answer, kind):
    assert verdict(rf"It is \boxed{{{answer}}}.", expected).kind is kind


@pytest.mark.parametrize(("expected", "text", "kind"), TEXTS)
def test_texts(expected, text, kind):
    assert verdict(text, expected).kind is kind


CHOICES = ("3 apples", "4 apples", "a pear", "none")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("B", RIGHT), ("(B)", RIGHT), ("b", RIGHT), ("B.", RIGHT), ("B) 4 apples", RIGHT), ("B: 4 apples", RIGHT), ("4 apples", RIGHT),
        (r"\text{B}", RIGHT), ("A", WRONG), ("3 apples", WRONG), ("B) 3 apples", FORM), ("B. A", FORM), ("B: A or C", FORM), ("B) C) D)", FORM), ("B. four apples", RIGHT), ("A and B", FORM), ("A, B", FORM), ("E", FORM),
        ("a pear", WRONG), ("A pear", WRONG), ("apples", FORM), ("42", FORM),
        ("B - 4 apples", RIGHT), ("B 4 apples", RIGHT), ("B (4 apples)", RIGHT), ("{B}", RIGHT), ("Option B", RIGHT), ("The answer is B", RIGHT),
        ("B 3 apples", FORM), ("B - 3 apples", FORM), ("b. c", FORM), ("(b) or (c)", FORM), ("b) 4 apples or c) a pear", FORM), ("B) 3 apples or 4 apples", FORM), ("not B", FORM),
    ],
)  # fmt: skip
def test_choices(said, kind):
    assert verdict(rf"\boxed{{{said}}}", "B", "choice", CHOICES).kind is kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [("0.75", RIGHT), (r"\frac{3}{4}", RIGHT), (r"\$12", WRONG), ("12.0", WRONG), ("D) 12", FORM), ("5", FORM)],
)
def test_choices_that_are_numbers(said, kind):
    assert verdict(rf"\boxed{{{said}}}", "D", "choice", ("12", "21", "30", "3/4")).kind is kind


def test_a_text_that_is_two_choices_names_none():
    assert verdict(r"\boxed{5}", "A", "choice", ("5 cm", "5 m")).kind is FORM


@pytest.mark.parametrize(
    ("checker", "expected", "said", "kind"),
    [
        ("exact", "B2", "B2", RIGHT), ("exact", "B2", "b2", WRONG), ("exact", "1/2", "0.5", WRONG), ("exact", "a b", "a  b", RIGHT),
        ("exact", "ab", "abc", WRONG), ("regex", r"(?i)y(es)?", "Yes", RIGHT), ("regex", r"y(es)?", "yesterday", WRONG),
        ("regex", r"(a+)+b", "a" * 60, TOO_LARGE),
    ],
)  # fmt: skip
def test_exact_and_regular_expressions(checker, expected, said, kind):
    assert verdict(rf"\boxed{{{said}}}", expected, checker).kind is kind
