"""What a task file may say. Talks to the engine through `ports` only."""
