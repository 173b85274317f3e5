"""Outputs and metrics of families that give the rates of images."""

from wolter.outputs import Metric, Output

RATE = "rate"
LIMIT_NAMES = ("lower", "upper", "lower_95", "upper_95")
RATE_METRICS = (
    Metric("deviance", "lower", "Poisson deviance of the target's photons a pixel", headline=True),
    Metric("psnr", "higher", "peak signal-to-noise ratio of brightness", "dB", headline=True),
    Metric("psnr_sqrt", "higher", "peak signal-to-noise ratio of its square root", "dB"),
)


def rate_outputs(interval: bool) -> tuple[Output, ...]:
    """Rate per output pixel and, with `interval`, the ends of its 68 % and 95 % intervals."""
    rate = Output(RATE, "expected rate per output pixel", "ct/s", "HW")
    ends = tuple(
        Output(name, f"{side} end of the {level} % interval", "ct/s", "HW")
        for name, side, level in zip(
            LIMIT_NAMES, ("lower", "upper") * 2, (68, 68, 95, 95), strict=True
        )
    )
    return (rate, *ends) if interval else (rate,)
