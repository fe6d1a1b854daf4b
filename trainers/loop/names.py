"""Names of the parameters that TRL and transformers have, as they call them.

They stand here, so that a recipe can be checked without importing either. A test looks whether the real settings have
all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Kind = Literal["sft", "grpo"]

_COMMON: Final = """
    activation_checkpointing activation_checkpointing_kwargs adam_beta1 adam_beta2 adam_epsilon
    average_tokens_across_devices bf16 data_seed dataloader_drop_last dataloader_in_order
    dataloader_multiprocessing_context dataloader_num_workers dataloader_persistent_workers dataloader_pin_memory
    dataloader_prefetch_factor ddp_backend ddp_broadcast_buffers ddp_bucket_cap_mb ddp_find_unused_parameters
    ddp_static_graph ddp_timeout fp16 full_determinism gradient_accumulation_steps gradient_checkpointing
    gradient_checkpointing_kwargs learning_rate logging_first_step logging_steps loss_type
    lr_scheduler_kwargs lr_scheduler_type max_grad_norm max_steps neftune_noise_alpha num_train_epochs optim
    optim_args optim_target_modules pad_to_multiple_of per_device_train_batch_size router_aux_loss_coef save_steps
    save_strategy save_total_limit seed shuffle_dataset tf32 torch_compile torch_compile_backend torch_compile_mode
    torch_empty_cache_steps train_sampling_strategy trust_remote_code use_liger_kernel warmup_steps weight_decay
""".split()  # noqa: SIM905

_SFT: Final = ("activation_offloading", "completion_only_loss", "max_length", "packing", "packing_strategy")

_GRPO: Final = """
    beta cache_implementation cast_lm_head_to_fp32 chat_template_kwargs delta disable_dropout
    ds3_gather_for_generation entropy_coef entropy_coef_delta entropy_coef_max entropy_coef_min entropy_target epsilon
    epsilon_high generation_batch_size generation_kwargs importance_sampling_level mask_truncated_completions
    max_completion_length min_p multi_objective_aggregation num_generations num_iterations off_policy_mask_threshold
    ref_model_mixup_alpha ref_model_sync_steps repetition_penalty reward_weights sapo_temperature_neg
    sapo_temperature_pos scale_rewards steps_per_generation sync_ref_model temperature top_entropy_quantile top_k top_p
    transformers_continuous_batching_config use_adaptive_entropy use_bias_correction_kl
    use_transformers_continuous_batching use_transformers_paged use_vllm vespo_k_neg vespo_k_pos vespo_lambda_neg
    vespo_lambda_pos vllm_enable_sleep_mode vllm_gpu_memory_utilization vllm_group_port vllm_importance_sampling_cap
    vllm_importance_sampling_clip_max vllm_importance_sampling_clip_min vllm_importance_sampling_correction
    vllm_importance_sampling_mode vllm_max_model_length vllm_mode vllm_model_impl vllm_server_base_url
    vllm_server_host vllm_server_port vllm_server_timeout vllm_structured_outputs_regex vllm_tensor_parallel_size
""".split()  # noqa: SIM905

TRL: Final[Mapping[Kind, tuple[str, ...]]] = {"sft": (*_COMMON, *_SFT), "grpo": (*_COMMON, *_GRPO)}
"""Parameters that go to TRL's SFTConfig and GRPOConfig under the same names."""
