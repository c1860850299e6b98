"""Messages to prompt segments: what each family of models was trained on, exactly."""
