package unix

// Numbers of system calls of this processor that package syscall does not have on
// another one.
const (
	SYS_NAME_TO_HANDLE_AT = 264
	SYS_OPEN_BY_HANDLE_AT = 265
	SYS_CLOCK_ADJTIME     = 266
	SYS_SETNS             = 268
	SYS_PROCESS_VM_READV  = 270
	SYS_PROCESS_VM_WRITEV = 271
	SYS_KCMP              = 272
	SYS_FINIT_MODULE      = 273
	SYS_SCHED_SETATTR     = 274
	SYS_SECCOMP           = 277
	SYS_BPF               = 280
	SYS_USERFAULTFD       = 282
	SYS_KEXEC_FILE_LOAD   = 294
)
