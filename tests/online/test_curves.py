"""The summary and the curves of online training, from a log with known figures."""

from reflection_trl.online.curves import plot_online, summarize_online


LOG = [
    {"step": step, "epoch": 0.1, "execution/pass_rate": step / 8, "reward": 2.0, "entropy": 1.0 / step}
    for step in range(1, 9)
]
LOG += [{"step": step, "eval_execution/pass_rate": rate} for step, rate in ((0, 0.25), (4, 0.75), (8, 0.5))]
LOG += [{"step": 8, "distillation/divergence": 0.3, "completions/mean_length": 20.0, "reward_std": None}]
LOG += [{"step": 8, "groups/with_signal": 0.9, "completions/clipped_ratio": 0.1}]


def test_summary():
    assert [str(row) for row in summarize_online(LOG)] == [
        "solve rate of held-out problems  0.250 -> 0.500   (steps 0 and 8)",
        "solve rate of the rollouts       0.188 -> 0.938   (first and last quarter of the steps)",
        "reward                           2.000 -> 2.000   (first and last quarter of the steps)",
        "groups with a signal             0.900   (logged only at step 8)",
        "divergence from the teacher      0.300   (logged only at step 8)",
        "entropy, nats per token          0.750 -> 0.134   (first and last quarter of the steps)",
        "tokens per answer                20.000   (logged only at step 8)",
        "truncated answers                0.100   (logged only at step 8)",
    ]
    assert summarize_online([]) == []


def test_each_of_several_evaluation_datasets_has_its_solve_rate():
    log = [
        {"step": step, "eval_easy_execution/pass_rate": step / 4, "eval_hard_execution/pass_rate": step / 8}
        for step in (0, 2)
    ]
    assert [str(row) for row in summarize_online(log)] == [
        "solve rate of held-out problems (easy) 0.000 -> 0.500   (steps 0 and 2)",
        "solve rate of held-out problems (hard) 0.000 -> 0.250   (steps 0 and 2)",
    ]


def test_figure(tmp_path):
    file = plot_online(LOG, tmp_path / "curves.png")
    assert file == tmp_path / "curves.png" and file.read_bytes().startswith(b"\x89PNG")
