"""The fused loss against plain autograd on full logits: every divergence, head and chunking."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from reflection_trl.training import losses
from reflection_trl.training.losses import Head, distillation_loss, divergence_and_gradient, product_dtype


N, H, V = 17, 8, 23
STUDENT, TEACHER = torch.tensor([3, 4, 5, 10, 11]), torch.tensor([0, 1, 2, 8, 9])


def full_logits(hidden, head):
    logits = hidden @ head.weight.T
    if head.bias is not None:
        logits = logits + head.bias
    logits = logits * head.scale
    return logits if head.softcap is None else head.softcap * torch.tanh(logits / head.softcap)


def kl(p, q):
    return (p * (p / q).log()).sum(-1)


def by_definition(hidden, head, targets, nll_weight, divergence_weight, beta, temperature, teacher_logits=None):
    logits = full_logits(hidden, head)
    nll = -logits.log_softmax(-1)[range(len(targets)), targets]
    teacher_logits = logits[TEACHER].detach() if teacher_logits is None else teacher_logits
    p, q = (teacher_logits / temperature).softmax(-1), (logits[STUDENT] / temperature).softmax(-1)
    m = beta * p + (1 - beta) * q
    if beta == 0:
        divergence = kl(p, q)
    elif beta == 1:
        divergence = kl(q, p)
    else:
        divergence = beta * kl(p, m) + (1 - beta) * kl(q, m)
    loss = (nll * nll_weight).sum() + divergence_weight * divergence.sum()
    return loss, nll, divergence, logits, teacher_logits


@pytest.mark.parametrize("external_teacher", [False, True])
@pytest.mark.parametrize(
    ("elements", "compile_backend"),
    [
        pytest.param(1, None, id="row-chunks"),
        pytest.param(70, None, id="3-row-chunks"),
        pytest.param(2**26, None, id="one-chunk"),
        pytest.param(70, "aot_eager", id="compiled", marks=pytest.mark.heavy),
    ],
)
@pytest.mark.parametrize(
    ("beta", "temperature", "softcap", "scale", "bias"),
    [
        (0.0, 1.0, None, 1.0, False),
        (0.0, 0.5, None, 1.0, True),
        (1.0, 2.0, None, 0.5, True),
        (0.3, 0.7, 5.0, 1.0, False),
        (0.5, 1.0, 5.0, 2.0, True),
    ],
)
def test_equals_autograd(
    monkeypatch, beta, temperature, softcap, scale, bias, elements, external_teacher, compile_backend
):
    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", elements)
    torch.manual_seed(0)
    hidden, weight = torch.randn(N, H, requires_grad=True), torch.randn(V, H, requires_grad=True)
    head = Head(weight, torch.randn(V, requires_grad=True) if bias else None, scale, softcap)
    targets, nll_weight = torch.randint(V, (N,)), torch.rand(N)
    teacher = {}
    if external_teacher:
        teacher = {"teacher_hidden": torch.randn(5, H), "teacher_head": Head(torch.randn(V, H), None, scale, softcap)}
    output = distillation_loss(
        hidden,
        head,
        targets,
        nll_weight,
        STUDENT,
        TEACHER,
        0.37,
        beta,
        temperature,
        **teacher,
        compile_backend=compile_backend,
    )
    loss, nll, divergence, logits, teacher_logits = by_definition(
        hidden, head, targets, nll_weight, 0.37, beta, temperature, full_logits(*teacher.values()) if teacher else None
    )
    torch.testing.assert_close(output.loss, loss, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(output.nll, nll.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output.divergence, divergence.detach(), rtol=1e-4, atol=1e-6)
    log_probs = logits.detach().log_softmax(-1)
    torch.testing.assert_close(output.entropy, -(log_probs.exp() * log_probs).sum(-1), rtol=1e-5, atol=1e-5)
    assert torch.equal(output.correct, logits.argmax(-1) == targets)
    assert torch.equal(output.agree, logits[STUDENT].argmax(-1) == teacher_logits.argmax(-1))
    teacher_nll = -teacher_logits.detach().log_softmax(-1)[range(5), targets[STUDENT]]
    torch.testing.assert_close(output.teacher_nll, teacher_nll, rtol=1e-5, atol=1e-5)
    parameters = [p for p in (hidden, weight, head.bias) if p is not None]
    # A factor, as gradient accumulation or loss scaling would put before the loss
    for actual, expected in zip(
        torch.autograd.grad(3 * output.loss, parameters), torch.autograd.grad(3 * loss, parameters), strict=True
    ):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "wanted", [{"hidden"}, {"weight"}, {"bias"}, {"hidden", "bias"}, {"weight", "bias"}], ids=sorted
)
def test_only_wanted_gradients_are_made(wanted):
    torch.manual_seed(0)
    tensors = {"hidden": torch.randn(N, H), "weight": torch.randn(V, H), "bias": torch.randn(V)}
    hidden, weight, bias = (one.requires_grad_(name in wanted) for name, one in tensors.items())
    targets, nll_weight = torch.randint(V, (N,)), torch.rand(N)
    output = distillation_loss(hidden, Head(weight, bias), targets, nll_weight, STUDENT, TEACHER)
    loss, *_ = by_definition(hidden, Head(weight, bias), targets, nll_weight, 1, 0, 1)
    output.loss.backward()
    parameters = [one for one in tensors.values() if one.requires_grad]
    for parameter, expected in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-5)
    assert {name for name, one in tensors.items() if one.grad is not None} == wanted


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_without_gradients_the_figures_are_the_same(temperature):
    torch.manual_seed(0)
    hidden, head = torch.randn(N, H, requires_grad=True), Head(torch.randn(V, H))
    # Some first choices are right, and some are those of the teacher
    targets = full_logits(hidden, head).argmax(-1) * (torch.arange(N) % 3 > 0)
    arguments = (head, targets, torch.rand(N), STUDENT, TEACHER, 0.37, 0.3, temperature)
    output = distillation_loss(hidden, *arguments)
    with torch.no_grad():
        without = distillation_loss(hidden, *arguments)
    for name, value in vars(without).items():
        assert torch.equal(value, getattr(output, name)), name
        assert not value.requires_grad and getattr(output, name).requires_grad == (name == "loss")


@pytest.mark.parametrize(
    ("device", "dtype", "autocast", "expected"),
    [
        ("cuda", torch.float32, None, torch.float32),
        ("cuda", torch.float32, torch.bfloat16, torch.bfloat16),
        ("cuda", torch.bfloat16, None, torch.bfloat16),
        ("cuda", torch.bfloat16, torch.float16, torch.float32),
        ("cuda", torch.float16, None, torch.float32),
        ("cpu", torch.bfloat16, None, torch.float32),
        ("cpu", torch.float32, torch.bfloat16, torch.float32),
    ],
)
def test_products_are_in_bfloat16_only_where_their_sums_are_not_rounded(device, dtype, autocast, expected):
    assert product_dtype(device, dtype, autocast) == expected


@pytest.mark.parametrize("states", [torch.float32, torch.bfloat16], ids=str)
def test_parameters_of_half_precision_are_rounded_once(monkeypatch, states):
    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", 70)
    torch.manual_seed(0)
    hidden = torch.randn(N, H, dtype=states)
    weight, bias = torch.randn(V, H, dtype=torch.bfloat16), torch.randn(V, dtype=torch.bfloat16)
    teacher_hidden, teacher_weight = torch.randn(5, H, dtype=states), torch.randn(V, H, dtype=torch.bfloat16)
    targets, nll_weight = torch.randint(V, (N,)), torch.rand(N)

    def step(convert):
        live = [convert(one).detach().clone().requires_grad_() for one in (hidden, weight, bias)]
        teacher = {"teacher_hidden": convert(teacher_hidden), "teacher_head": Head(convert(teacher_weight))}
        output = distillation_loss(live[0], Head(*live[1:]), targets, nll_weight, STUDENT, TEACHER, **teacher)
        return output.loss.detach(), torch.autograd.grad(output.loss, live)

    loss, gradients = step(lambda one: one)
    exact_loss, exact = step(torch.Tensor.float)
    assert loss == exact_loss
    for actual, expected, one in zip(gradients, exact, (hidden, weight, bias), strict=True):
        assert torch.equal(actual, expected.to(one.dtype))


@pytest.mark.parametrize("scale", [2.0**16, 2.0**12])
def test_loss_scaling_saves_gradients_of_float16(scale):
    """Means over many tokens make gradients that float16 has no numbers for, until they are scaled."""
    torch.manual_seed(0)
    hidden, weight = torch.randn(N, H, dtype=torch.float16), torch.randn(V, H, dtype=torch.float16)
    targets, nll_weight = torch.randint(V, (N,)), torch.full((N,), 1e-6)

    def step(convert):
        live = [convert(one).detach().clone().requires_grad_() for one in (hidden, weight)]
        output = distillation_loss(live[0], Head(live[1]), targets, nll_weight, STUDENT, TEACHER, 1e-6)
        return torch.autograd.grad(output.loss * scale, live)

    for actual, expected in zip(step(lambda one: one), step(torch.Tensor.float), strict=True):
        assert torch.equal(actual, expected.half())


class Calls(TorchDispatchMode):
    """What torch was asked for, and on how many rows."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.append((function.overloadpacket, args))
        return function(*args, **(kwargs or {}))

    def rows(self, *functions):
        return [len(args[0]) for function, args in self.seen if function in functions]


@pytest.mark.parametrize(("elements", "lone", "pairs"), [(1, 1, 1), (70, 3, 3), (92, 4, 4), (2**26, 7, 5)])
def test_no_more_logits_than_fit_are_held_at_a_time(monkeypatch, elements, lone, pairs):
    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", elements)
    targets, nll_weight = torch.randint(V, (N,)), torch.rand(N)
    with Calls() as calls:
        distillation_loss(torch.randn(N, H), Head(torch.randn(V, H)), targets, nll_weight, STUDENT, TEACHER)
    sizes, first = calls.rows(torch.ops.aten._log_softmax), math.ceil((N - 10) / lone)
    assert max(sizes[:first]) == lone and sum(sizes[:first]) == N - 10
    assert max(sizes[first:]) == pairs


def test_an_evaluation_makes_logits_only():
    hidden, head = torch.randn(N, H, requires_grad=True), Head(torch.randn(V, H, requires_grad=True))
    with torch.no_grad(), Calls() as calls:
        distillation_loss(hidden, head, torch.randint(V, (N,)), torch.rand(N), STUDENT, TEACHER)
    products = calls.rows(torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_)
    assert products == [N - 10, 5, 5], "lone predictions, students, teachers"


def test_the_backend_that_is_named_compiles():
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    hidden, head = torch.randn(N, H), Head(torch.randn(V, H))
    targets, nll_weight = torch.randint(V, (N,)), torch.rand(N)
    distillation_loss(hidden, head, targets, nll_weight, STUDENT, TEACHER, compile_backend=backend)
    assert graphs


def test_by_default_it_is_the_whole_forward_divergence():
    torch.manual_seed(0)
    hidden, head = torch.randn(N, H), Head(torch.randn(V, H))
    targets, nll_weight = torch.randint(V, (N,)), torch.rand(N)
    output = distillation_loss(hidden, head, targets, nll_weight, STUDENT, TEACHER)
    loss, _, divergence, *_ = by_definition(hidden, head, targets, nll_weight, 1.0, 0.0, 1.0)
    torch.testing.assert_close(output.loss, loss)
    torch.testing.assert_close(output.divergence, divergence)


def test_batch_without_students():
    hidden, none = torch.randn(N, H, requires_grad=True), torch.zeros(0, dtype=torch.long)
    weight, targets = torch.randn(V, H), torch.randint(V, (N,))
    output = distillation_loss(hidden, Head(weight), targets, torch.full((N,), 1 / N), none, none)
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(hidden @ weight.T, targets))
    assert output.divergence.shape == (0,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_does_not_round_logits(dtype):
    torch.manual_seed(0)
    hidden, weight = torch.randn(N, H, requires_grad=True), torch.randn(V, H)
    targets, nll_weight = torch.randint(V, (N,)), torch.rand(N)
    exact = distillation_loss(hidden, Head(weight), targets, nll_weight, STUDENT, TEACHER)
    with torch.autocast("cpu", dtype):
        cast = distillation_loss(hidden, Head(weight), targets, nll_weight, STUDENT, TEACHER)
    torch.testing.assert_close(cast.loss, exact.loss, rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(cast.loss, hidden)
    torch.testing.assert_close(gradient, torch.autograd.grad(exact.loss, hidden)[0])


@pytest.mark.parametrize("beta", [0.0, 0.2, 0.9, 1.0])
def test_small_divergences_keep_their_gradient(beta):
    """Self-distillation lives where teacher and student hardly differ; float32 logits must resolve that."""
    torch.manual_seed(0)
    teacher = torch.randn(4, 5000)
    student = (teacher + 1e-3 * torch.randn(4, 5000)).requires_grad_()
    divergence, gradient = divergence_and_gradient(student.log_softmax(-1), teacher.log_softmax(-1), beta)
    exact_student = student.detach().double().requires_grad_()
    q, p = exact_student.softmax(-1), teacher.double().softmax(-1)
    m = beta * p + (1 - beta) * q
    exact = kl(p, q) if beta == 0 else kl(q, p) if beta == 1 else beta * kl(p, m) + (1 - beta) * kl(q, m)
    exact.sum().backward()
    assert (gradient - exact_student.grad).norm() / exact_student.grad.norm() < 5e-3
    torch.testing.assert_close(divergence.double(), exact.detach(), rtol=0, atol=1e-6)


logits = st.lists(st.floats(-30, 30), min_size=5, max_size=5)


@given(logits, logits, st.sampled_from([0.0, 1.0]) | st.floats(0.01, 0.99))
def test_divergences_are_divergences(student, teacher, beta):
    log_q, log_p = (torch.tensor([one], dtype=torch.float64).log_softmax(-1) for one in (student, teacher))
    divergence, gradient = divergence_and_gradient(log_q, log_p, beta)
    assert divergence >= -1e-12
    assert gradient.sum().abs() < 1e-9, "a constant added to all logits changes nothing"
    alike, flat = divergence_and_gradient(log_p, log_p, beta)
    assert alike.abs() < 1e-12 and flat.abs().max() < 1e-12
    mirrored, _ = divergence_and_gradient(log_p, log_q, 1 - beta)
    torch.testing.assert_close(divergence, mirrored, rtol=1e-9, atol=1e-9)
    if 0 < beta < 1:
        bound = -beta * math.log(beta) - (1 - beta) * math.log(1 - beta)
        assert divergence <= bound + 1e-9, "no more than the entropy of the mixture's weights"


def test_a_teacher_without_a_head_of_its_own_has_the_live_one():
    torch.manual_seed(0)
    weight, hidden, teacher_hidden = torch.randn(V, H), torch.randn(N, H), torch.randn(5, H)
    targets, nll_weight = torch.randint(V, (N,)), torch.rand(N)

    def step(**teacher_head):
        live, states = weight.clone().requires_grad_(), hidden.clone().requires_grad_()
        output = distillation_loss(
            states,
            Head(live, None, 1.0, None),
            targets,
            nll_weight,
            STUDENT,
            TEACHER,
            0.37,
            0.0,
            1.0,
            teacher_hidden=teacher_hidden,
            **teacher_head,
        )
        output.loss.backward()
        return output.loss.detach(), live.grad, states.grad

    explicit = step(teacher_head=Head(weight, None, 1.0, None))
    torch.testing.assert_close(step(), explicit)
