"""Calibration: measure this machine, fit the planner's constants to it, keep them for later plans.

`device` and `links` measure with torch and run as processes of their own, started by `runner`; all
else here is free of torch. Samples (`samples`) become constants by `fit` and `constants`, which
`saved` keeps in the user's data folder.
"""
