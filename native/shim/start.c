/* The shim's way from the kernel to main(), instead of libc's: that one relocates itself, sets up thread-local memory, locales and
 * stdio, and makes the program larger to clone, half a millisecond for every sandbox and every process that enters one.
 * Not part of the build with the sanitizers, whose run time needs libc. */
#include "sys.h"

#include <elf.h>

int main(int argc, char **argv);

/* What -fstack-protector compares; the compiler knows it by these names. */
__attribute__((visibility("hidden"))) uintptr_t __stack_chk_guard;
__attribute__((noreturn, visibility("hidden"))) void __stack_chk_fail(void);

extern const Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));
extern char __ehdr_start[] __attribute__((visibility("hidden")));

#if defined(__x86_64__)
#define R_RELATIVE R_X86_64_RELATIVE
__asm__(".text\n"
        ".globl _start\n"
        ".hidden _start\n"
        ".type _start, @function\n"
        "_start:\n"
        "    xorl %ebp, %ebp\n" /* ends the chain of frames */
        "    movq %rsp, %rdi\n"
        "    andq $-16, %rsp\n"
        "    call shim_start\n"
        "    hlt\n"
        ".size _start, .-_start\n");
#elif defined(__aarch64__)
#define R_RELATIVE R_AARCH64_RELATIVE
__asm__(".text\n"
        ".globl _start\n"
        ".hidden _start\n"
        ".type _start, %function\n"
        "_start:\n"
        "    mov x29, xzr\n" /* ends the chain of frames */
        "    mov x30, xzr\n"
        "    mov x0, sp\n"
        "    bl shim_start\n"
        "    brk #1\n"
        ".size _start, .-_start\n");
#endif

void __stack_chk_fail(void) {
    __builtin_trap();
}

/* The sources need no relocation, but a compiler may reach the guard through a table of addresses (gcc for aarch64 does). */
static void relocate(void) {
    uintptr_t base = (uintptr_t)__ehdr_start, table = 0, size = 0;
    for (const Elf64_Dyn *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_RELA) table = base + entry->d_un.d_ptr;
        if (entry->d_tag == DT_RELASZ) size = entry->d_un.d_val;
    }
    for (const Elf64_Rela *at = (const Elf64_Rela *)table; size >= sizeof *at; at++, size -= sizeof *at) {
        if (ELF64_R_TYPE(at->r_info) != R_RELATIVE) __builtin_trap();
        *(uintptr_t *)(base + at->r_offset) = base + (uintptr_t)at->r_addend;
    }
}

/* stack: argc, argv, NULL, envp, NULL, auxv, as the kernel leaves it (execve; System V ABI, "Process Initialization"). Has no
 * array, so that the compiler does not guard it with what it has yet to set. */
__attribute__((noreturn, used, visibility("hidden"))) void shim_start(long *stack) {
    char **argv = (char **)(stack + 1), **at = argv + stack[0] + 1;
    relocate();
    while (*at++ != NULL) continue;
    for (const Elf64_auxv_t *entry = (const Elf64_auxv_t *)at; entry->a_type != AT_NULL; entry++)
        if (entry->a_type == AT_RANDOM) __stack_chk_guard = *(const uintptr_t *)entry->a_un.a_val;
    /* A NUL in its first byte: a string that runs over cannot write the guard back. */
    __stack_chk_guard &= ~(uintptr_t)0xff;
    sys_exit(main((int)stack[0], argv));
}
