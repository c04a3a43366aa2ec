"""What is told of the service: metrics, logs, traces, request ids."""
