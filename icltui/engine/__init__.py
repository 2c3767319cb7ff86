"""The engine: pure torch, on any Hugging Face causal LM; it never sees a terminal.

A folder imports only folders before it; inside a folder a module imports only modules before it::

    hooks      fast_pre_hook ─▶ site ─▶ attach ─▶ capture
               out_of_memory ─▶ run_model ─▶ trace ─▶ input_projections ─▶ module_roles ─▶ find_sites
    models     device ─▶ upcast ─▶ fingerprint ─▶ loaded_model ─▶ checkpoint ─▶ stored_tensors ─▶ memory_estimate
               auto_dtype ─▶ log_lines ─▶ background_thread ─▶ load_progress ─▶ config_size_check ─▶ weights_check
               load_errors ─▶ load
    prompts    render_template ─▶ chat_template ─▶ offsets ─▶ units ─▶ kept_token ─▶ tokenize ─▶ prompt_check
    measure    forward_pass ─▶ context_cache ─▶ block_inputs ─▶ packed_mask ─▶ run_prefixes ─▶ packing_check
               kv_cache_check ─▶ predictions ─▶ rank_one ─▶ weight_steps ─▶ layer_rows ─▶ unit_similarity
               rounding_error ─▶ attention_sink ─▶ measure
    metric     background ─▶ metric ─▶ stream ─▶ moments_file ─▶ ordinary
    patch      low_rank_map ─▶ left_out_map ─▶ patch ─▶ decoding ─▶ calibration ─▶ fitter ─▶ fit ─▶ build
               evaluate ─▶ alpha_search ─▶ leave_one_out ─▶ collateral ─▶ sweep ─▶ exactness_at_load ─▶ report
    generate   sampling ─▶ batching_check ─▶ lane_in_context ─▶ generate ─▶ prepare_request ─▶ last_patch
               jobs ─▶ ahead
    curves     token_losses ─▶ intervals ─▶ smoothing ─▶ icl_score ─▶ text_tokens ─▶ own_text
               measure_curves ─▶ jobs
    heads      read_attention ─▶ repeated_tokens ─▶ last_token ─▶ contributions ─▶ measure_heads ─▶ jobs
    verify     gradient_alignment ─▶ verdict ─▶ verify
    trial      prompt ─▶ row_patch ─▶ row_heuristic ─▶ row_score ─▶ row_strength
               lower_blocks ─▶ batch ─▶ batching ─▶ row_layers ─▶ row_noise ─▶ trial
    effects    prefix_states | lone_patches ─▶ measure_effects ─▶ jobs
    contexts   differences ─▶ context_sets | held_patch | prefix_steps
    export     reference_logits ─▶ foldable ─▶ factors_file ─▶ control_vector
               peft ─▶ peft_check ─▶ export_patch ─▶ jobs
    compile    list_pattern ─▶ context_reader ─▶ repeat_context ─▶ study_templates ─▶ written_text ─▶ study_file
               self_study ─▶ calibration_queries ─▶ greedy_answers ─▶ score_queries ─▶ leaving_out ─▶ choose
               verdict ─▶ request_queries ─▶ read_passages ─▶ join_contexts ─▶ interference ─▶ jobs ─▶ join_jobs
    distill    lora ─▶ distill
    functions  regression ─▶ block ─▶ train ─▶ explicit_steps ─▶ measure
    finetune   trainable ─▶ compare
    checkpoints measure
    exam       bootstrap ─▶ score ─▶ answers ─▶ prior_margin ─▶ examinee ─▶ rank_curve ─▶ questions
               examine ─▶ ways ─▶ joined ─▶ jobs
    local      all of it, as an engine in this process

Glossary, also the axis names in signatures: ``hidden`` d, the residual stream's width; ``inner`` m, the width of W z of
the MLP's first matrices, all of them stacked; ``tokens`` positions of one row; ``rows`` of a batch; ``copies`` prefixes
of the context that are measured together; ``chosen`` experts that one token goes to; ``layers`` the selected layers,
ascending; ``vocabulary`` V; ``fitted`` tokens that a patch is fitted on; ``width`` d or m, of the vectors that a map
reads; ``rank`` of a map; ``passed`` tokens of one pass, padding included; ``columns`` of a sketch or a
table; ``prefixes`` of one context; ``contexts`` before one query.

Symbols: z the MLP's input; v the residual stream before the MLP branch; g the input of the down projection; a
subscript C means with the context. ΔW = (W δz) zᵀ/‖z‖², Δb = δ = v_C − v.

Sources: [1] arXiv 2507.16003 (Dherin et al.), [2] arXiv 2511.17864 (Goldwaser et al.), [3] arXiv 2512.11255
(Innocenti, Achour).
"""
