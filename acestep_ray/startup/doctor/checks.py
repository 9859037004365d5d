"""Every check of the doctor, in the order of its table."""

from acestep_ray.startup.doctor.access import check_access
from acestep_ray.startup.doctor.checkpoints import check_checkpoints
from acestep_ray.startup.doctor.config_check import check_config
from acestep_ray.startup.doctor.ffmpeg_check import check_ffmpeg
from acestep_ray.startup.doctor.gpu_check import check_gpu
from acestep_ray.startup.doctor.interpreter import check_python
from acestep_ray.startup.doctor.job_store import check_job_store
from acestep_ray.startup.doctor.libraries import check_libraries
from acestep_ray.startup.doctor.limits import check_limits, check_memory
from acestep_ray.startup.doctor.ports import check_ports
from acestep_ray.startup.doctor.ray_check import check_ray
from acestep_ray.startup.doctor.result import Check
from acestep_ray.startup.doctor.storage import check_audio_storage, check_disks
from acestep_ray.startup.doctor.traces import check_traces
from acestep_ray.startup.serve_config import CHECK_SECONDS

CHECKS: tuple[Check, ...] = (
    Check("settings", check_config, CHECK_SECONDS + 5, needs_settings=False),
    Check("python", check_python, needs_settings=False),
    Check("ray", check_ray, needs_settings=False),
    Check("limits", check_limits, needs_settings=False),
    Check("memory", check_memory, needs_settings=False),
    Check("ffmpeg", check_ffmpeg, 60.0, needs_settings=False),
    Check("libraries", check_libraries),
    Check("checkpoints", check_checkpoints, 30.0, asked="the disk of the checkpoints"),
    Check("gpu", check_gpu, 90.0, asked="the GPU's driver"),
    Check("storage", check_audio_storage, 20.0, asked="the audio storage"),
    Check("disks", check_disks, asked="a disk"),
    Check("job store", check_job_store, 20.0, asked="the job store"),
    Check("traces", check_traces),
    Check("port", check_ports),
    Check("access", check_access),
)
"""Their time is longer where they start a program, or ask another machine."""
