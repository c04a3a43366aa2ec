"""Networks from pixels to features; what they are called is the registry's business."""
