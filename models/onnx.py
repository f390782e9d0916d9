"""Models from elsewhere, in the Open Neural Network Exchange format: of scikit-learn, XGBoost and others."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.layout import BUILT_IN, Inputs
from models.scorers import InvalidModel

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}
_LEAST = 1e-9
"""The nearest to 0 and 1 that a probability is taken to be: log-odds have to be finite."""


class OnnxScorer:
    """A classifier with two classes, run by ONNX Runtime on one thread.

    It reads all columns of a row, or those of the features without action and channel. Rows are scored one
    by one: libraries add up products in another order where there are more rows, and then who else is in a
    batch would change the last digits of a score.

    Raises:
        InvalidModel: it is something else, or ONNX Runtime is not installed.
    """

    kind: ClassVar[str] = "onnx"

    def __init__(self, model: bytes, inputs: Inputs) -> None:
        self.width = len(inputs.names)
        try:
            import onnxruntime
        except ImportError as error:
            raise InvalidModel(
                "an ONNX model needs the Python package 'onnxruntime': pip install 'arbiter-nba[onnx]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no class in common
            raise InvalidModel(f"ONNX Runtime can't read the model: {error}") from error
        self._input, self._type, self._read = _input(self._session, self.width)
        self._output = _output(self._session)

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds before calibration, shape (m,), of rows of shape (m, width); NaN in a row is missing.

        Raises:
            ValueError: rows of another shape.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"rows must have the shape (m, {self.width}), not {rows.shape}")
        read = np.ascontiguousarray(rows[:, : self._read], self._type)
        found = [
            self._session.run([self._output], {self._input: read[place : place + 1]})[0]
            for place in range(len(read))
        ]
        if not found:
            return np.empty(0)
        probabilities = np.asarray(found, np.float64).reshape(len(read), -1)[:, -1]
        probabilities = np.clip(probabilities, _LEAST, 1.0 - _LEAST)
        return np.log(probabilities) - np.log1p(-probabilities)


def _input(session: Any, width: int) -> tuple[str, Any, int]:
    """The name and type of the input, and how many columns it takes."""
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _TYPES or len(inputs[0].shape) != 2:
        found = ", ".join(f"{entry.name}: {entry.type} {entry.shape}" for entry in inputs)
        raise InvalidModel(f"an ONNX model has to take one table of numbers, and this one takes {found}")
    columns, features = inputs[0].shape[1], width - len(BUILT_IN)
    if isinstance(columns, int) and columns not in (width, features):
        raise InvalidModel(
            f"the ONNX model reads {columns} columns; it has to read {features}, those of its features, or "
            f"{width}, those and {' and '.join(BUILT_IN)}"
        )
    return inputs[0].name, _TYPES[inputs[0].type], columns if isinstance(columns, int) else width


def _output(session: Any) -> str:
    """The name of the output that holds probabilities: one number for each row, or one for each of two
    classes."""
    outputs = session.get_outputs()
    for output in outputs:
        if output.type in _TYPES and (len(output.shape) == 1 or output.shape[-1] in (1, 2)):
            return str(output.name)
    if any(output.type.startswith("seq(map") for output in outputs):
        raise InvalidModel("the ONNX model answers with maps: convert it with the option zipmap=False")
    found = ", ".join(f"{output.name}: {output.type} {output.shape}" for output in outputs)
    raise InvalidModel(f"the ONNX model has no output with probabilities of two classes: {found}")
