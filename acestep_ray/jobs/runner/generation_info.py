"""``generation_info``, a text for people: what was made, with which engines, in what time."""

from acestep_ray.decoder.events import Decoded
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.decoder.step_times import steps_made
from acestep_ray.planner.protocol import Plan
from acestep_ray.timebase import SAMPLE_RATE


def generation_info(
    request: DecodeRequest, plan: Plan | None, decoded: Decoded, queued: float, total: float
) -> str:
    """A few lines of text. ``queued`` and ``total``: seconds."""
    engine = decoded.engine
    takes = len(decoded.takes)
    length = decoded.takes[0].samples / SAMPLE_RATE
    seeds = ",".join(str(take.seed) for take in decoded.takes)
    lines = [
        _steps(request, turbo=engine.turbo, mock=engine.mock),
        f"Task: {request.task}, Takes: {takes} of {length:.2f} s, Seeds: {seeds}",
        f"Decoder: {engine.engine} ({engine.model}) on {engine.device}"
        + (" - mock audio from a test synthesiser, not from ACE-Step" if engine.mock else ""),
    ]
    if request.adapters:
        used = ", ".join(f"{use.name} ({use.scale:g})" for use in request.adapters)
        lines.append(f"Adapters: {used}")
    if not engine.mock:
        lines.append(_sound(request, turbo=engine.turbo))
    if plan and plan.text:
        lines.append(f"Text: caption and lyrics written by {plan.text.model}")
    if plan:
        of_each = " for each take" if plan.take_codes else ""
        lines.append(
            f"Planner: {plan.model}, {len(plan.codes)} codes{of_each}"
            + (" - mock plan, not from ACE-Step" if plan.mock else "")
        )
    spent = {"queued": queued} | ({"plan": plan.elapsed} if plan else {}) | decoded.seconds
    times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in spent.items())
    lines.append(f"Time: {times}, total {total:.2f} s")
    if decoded.peak_memory is not None:
        lines.append(f"Device memory: {decoded.peak_memory / 2**30:.2f} GiB at most")
    return "\n".join(lines)


def _steps(request: DecodeRequest, *, turbo: bool, mock: bool) -> str:
    has_source = bool(request.source or request.codes)
    made = steps_made(request, has_source=has_source, turbo=turbo)
    if mock:
        made = request.steps  # its steps are only time, and none is left out
    of_all = f" of {request.steps}" if made < request.steps else ""
    # The times that were sent are used instead of those that a shift makes.
    shift = "" if request.timesteps else f", Shift: {request.shift}"
    return f"Steps: {made}{of_all}, Scale: {request.guidance_scale}{shift}"


def _sound(request: DecodeRequest, *, turbo: bool) -> str:
    """How the steps were made: sampler and DCW except with flow-edit, which has its own steps, and
    everything else that is not usual."""
    parts = []
    if not request.edits_flow:
        sampler = request.sampler_mode if request.infer_method == "ode" else "sde"
        parts += [f"Sampler: {sampler}", f"DCW: {_dcw(request, turbo=turbo)}"]
    if request.guidance != "apg_classic" and not turbo:
        parts.append(f"Guidance: {'ADG' if request.guidance == 'adg' else request.guidance}")
    if request.timesteps:
        parts.append(f"Time-steps: {' '.join(f'{time:g}' for time in request.timesteps)}")
    if request.velocity_norm_threshold:
        parts.append(f"Velocity norm threshold: {request.velocity_norm_threshold:g}")
    if request.velocity_ema_factor:
        parts.append(f"Velocity EMA factor: {request.velocity_ema_factor:g}")
    if (request.latent_rescale, request.latent_shift) != (1, 0):
        parts.append(f"Latents: times {request.latent_rescale:g} plus {request.latent_shift:g}")
    if request.task == "repaint":
        balanced = request.repaint_mode == "balanced"
        strength = f" {request.repaint_strength:g}" if balanced else ""
        parts.append(f"Repaint: {request.repaint_mode}{strength}")
    if request.edits_flow:
        parts.append(
            f"Flow-edit: {request.flow_edit_n_min:g} to {request.flow_edit_n_max:g}, "
            f"{request.flow_edit_n_avg} noises"
        )
    if request.cover_noise_strength and not request.edits_flow:
        parts.append(f"Cover noise: {request.cover_noise_strength:g}")
    if request.retake_variance:
        seeds = ",".join(map(str, request.retake_seeds))
        parts.append(f"Retake: {request.retake_variance:g} of seeds {seeds}")
    return ", ".join(parts)


def _dcw(request: DecodeRequest, *, turbo: bool) -> str:
    if not request.uses_dcw(turbo=turbo):
        return "off"
    strengths = [request.dcw_scaler]
    if request.dcw_mode == "double":
        strengths.append(request.dcw_high_scaler)
    return f"{request.dcw_mode} {'/'.join(f'{one:g}' for one in strengths)}"
