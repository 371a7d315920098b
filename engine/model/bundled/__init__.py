"""Files alone: the model that ships with the package, an ordinary Hugging Face checkpoint.

`loading.py` finds them; `tools/bundled_model/` in the repository makes them.
"""
