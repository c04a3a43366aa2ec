"""A typed client of the service, to call or to await; knows HTTP and JSON, and nothing of images.

```python
with Client("http://127.0.0.1:8000", key=os.environ["ATTRIBUTION_API_KEY"]) as client:
    answer = client.attribute_image(Path("generated.png").read_bytes(), top_k=3)
    print(answer.decision, answer.sources[0].uri)
```

`documents` and `operations` are written from the service's description by `make client`.
"""

from __future__ import annotations

from attribution_client.calls import Image
from attribution_client.client import AsyncClient, Client
from attribution_client.errors import BrokenOff, ClientError, NotAnswered, NotTheService, Refused

__all__ = [
    "AsyncClient",
    "BrokenOff",
    "Client",
    "ClientError",
    "Image",
    "NotAnswered",
    "NotTheService",
    "Refused",
]
