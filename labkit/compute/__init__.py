"""What trainings and generation run on: the same functions as transformers' and peft's, with less work."""
