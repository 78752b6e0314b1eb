"""Whatever a student's code returns, raises or mixes up, the check itself does not fall over."""

import inspect

import pytest

from autograder.checks import find_check, ps1, ps2

ODD = {
    "None": "None",
    "a string": "'twelve'",
    "a number": "3.5",
    "infinity": "float('inf')",
    "a scalar tensor": "torch.tensor(2.0)",
    "an empty tensor": "torch.zeros(0)",
    "no columns": "torch.zeros(3, 0)",
    "NaN of the first argument's shape": "torch.full_like(a[0], float('nan')) if a and "
    "isinstance(a[0], Tensor) else float('nan')",
    "the first argument": "a[0]",
    "the last argument": "a[-1]",
    "whole numbers": "torch.ones(3, dtype=torch.int64)",
    "truth values": "torch.ones(3, dtype=torch.bool)",
    "complex numbers": "torch.ones(3, dtype=torch.complex64)",
    "an array": "np.ones(3)",
    "a pair": "(torch.ones(3), torch.ones(3))",
    "a pair of nothing": "(None, None)",
    "three": "(torch.zeros(4, 1, 28, 28), 'x', None)",
    "a dict": "{'loss': None, 'nll': 'x', 'kl': [1], 'train': [1], 'held_out': [{}]}",
    "a dict of lists": "{'train': [{'loss': 'x', 'nll': None}] * 3, 'held_out': [{'loss': 1}] * 4}",
    "a dict of oddities": "{1: torch.zeros(0), 'loss': torch.zeros(2, 2)}",
    "a module": "nn.Linear(2, 2)",
    "itself": "[a]",
    "an exception": "(_ for _ in ()).throw(ValueError('an\\nodd\\x1b[31m one'))",
    "an exit": "exit(3)",
}
FUNCTIONS = {
    "ps1_conv_size": ["conv_output_size", "conv_transpose_output_size"],
    "ps1_squared_error": ["squared_error"],
    "ps1_train_epoch": ["train_epoch"],
    "ps1_evaluate": ["evaluate"],
    "ps1_fault": ["error_by_label"],
    "ps1_sample_prior": ["sample_prior"],
    "ps1_pca": ["pca_reconstruct"],
    "ps2_kl": ["gaussian_kl"],
    "ps2_kl_monte_carlo": ["gaussian_kl_monte_carlo"],
    "ps2_reparameterize": ["reparameterize"],
    "ps2_elbo": ["elbo_terms"],
    "ps2_fault": ["evidence_bound"],
    "ps2_training": ["train_vae"],
    "ps2_effective_beta": ["effective_beta"],
    "ps2_active_units": ["active_units"],
    "ps2_interpolate": ["interpolate"],
}
METHODS = {
    "ps1_encoder": ("Encoder", ["forward", "__new__"]),
    "ps1_decoder": ("Decoder", ["forward"]),
    "ps1_autoencoder": ("AutoEncoder", ["encode", "decode", "forward", "reconstruct"]),
    "ps2_model": ("VAE", ["encode", "decode", "forward", "reconstruct", "sample", "__new__"]),
}


def test_every_check_is_tried():
    names = {
        f"{module.__name__[-3:]}_{name}"
        for module in (ps1, ps2)
        for name, value in vars(module).items()
        if inspect.isgeneratorfunction(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }
    assert names == FUNCTIONS.keys() | METHODS.keys()
    assert all(find_check(name) for name in names)


@pytest.mark.parametrize("exercise", FUNCTIONS)
def test_a_function_that_answers_oddly_scores_without_a_grader_error(judged, exercise):
    for what, expression in ODD.items():
        source = "\n".join(
            f"def {name}(*a, **k):\n    return {expression}" for name in FUNCTIONS[exercise]
        )
        verdict = judged(exercise, source)
        assert verdict.verdict in ("fail", "partial", "error"), (what, verdict.detail)
        assert verdict.score < verdict.max_score
        assert verdict.message.isprintable()


CASES = [
    # One sample of this slow kind stays in the quick tests.
    pytest.param(exercise, cls, method, marks=[] if cls == "Encoder" else [pytest.mark.long])
    for exercise, (cls, methods) in METHODS.items()
    for method in methods
]


@pytest.mark.parametrize(("exercise", "cls", "method"), CASES)
def test_a_method_that_answers_oddly_scores_without_a_grader_error(judged, exercise, cls, method):
    for what, expression in ODD.items():
        source = f"""
        Original{cls} = {cls}
        class {cls}(Original{cls}):
            def {method}(self, *a, **k):
                return {expression}
        """
        verdict = judged(exercise, source)
        assert verdict.verdict in ("fail", "partial", "error"), (what, verdict.detail)
        assert verdict.message.isprintable()


@pytest.mark.parametrize("exercise", [*FUNCTIONS, *METHODS])
@pytest.mark.parametrize("arguments", ["", "x, y, z, u, v, w, *rest"])
def test_a_wrong_signature_is_the_students_error(judged, exercise, arguments):
    if exercise in FUNCTIONS:
        source = "\n".join(f"def {n}({arguments}):\n    return 1" for n in FUNCTIONS[exercise])
    else:
        cls = METHODS[exercise][0]
        source = f"class {cls}(nn.Module):\n    def __init__(self, {arguments}):\n        pass"
    verdict = judged(exercise, source)
    assert (verdict.verdict, verdict.score) == ("error", 0), verdict
