"""What the drop-in clients `vtune_client.openai` and `vtune_client.together` share."""
