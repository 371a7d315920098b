"""Texts by which guards are measured: benign ones, which should pass, and labelled attacks."""
