"""Loggers: scores of runs where training is watched, in TensorBoard, Weights & Biases or MLflow.

Off unless asked for, with HARNESS_LOG=tensorboard:DIR,wandb:PROJECT,mlflow:URI or with `harness log`.
"""
