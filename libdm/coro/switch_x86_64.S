/* switch_x86_64.S: dm_switch (see switch.h) for the System V ABI. */
#if defined(__x86_64__)

        .text

        .globl  dm_switch
        .hidden dm_switch
        .type   dm_switch, @function
        .p2align 4
dm_switch:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp              /* the frame layout is the same on the other stack, so is the CFI */
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        jmpq    *%rcx                   /* not ret: the return predictor holds the other stack's caller */
        .cfi_endproc
        .size   dm_switch, . - dm_switch

        .globl  dm_switch_start
        .hidden dm_switch_start
        .type   dm_switch_start, @function
        .p2align 4
dm_switch_start:
        .cfi_startproc
        .cfi_undefined rip              /* the outermost frame */
        movq    %r12, %rdi
        callq   *%r13
        ud2
        .cfi_endproc
        .size   dm_switch_start, . - dm_switch_start

#endif
        .section .note.GNU-stack, "", %progbits
