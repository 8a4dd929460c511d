"""Trained weights that ship with the package, each with its model card; data, not code.

A model is a pair of files: ``<name>.safetensors`` holds tensors and nothing that could run, ``<name>.json`` says what
made them, from which data, and how well they do. Pickles were turned down, because loading one runs whatever it holds.
Readers check the digest on the card, so that weights that are not those it describes are refused. All files together
stay under 3 MB, which is why weights are stored in half precision.
"""

__all__: list[str] = []
