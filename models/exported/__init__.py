"""The network of an encoder exported for ONNX Runtime: written, checked, kept and run."""
