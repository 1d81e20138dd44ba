"""What is computed when, and where; the language it becomes is a target's business."""
