"""`acestep-ray doctor`: what is right and what is wrong on this machine, and what to do about it.

Every check is short, ends by itself and changes nothing: the service may be running meanwhile. What
prevents a start is checked by the launcher's own checks (startup/refusals.py).
"""
