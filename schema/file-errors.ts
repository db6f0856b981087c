/** Why a file or folder could not be read or written, in words, from the error that Node.js throws. */

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of its path is a file, not a folder",
  EISDIR: "it is a folder",
  EEXIST: "it exists",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EMFILE: "too many files are open",
  ENAMETOOLONG: "its name is too long",
  ELOOP: "its links form a circle",
};

/** An error of the file system, with its code, such as ENOENT, and the path that it is about. */
export interface FileError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path?: string;
}

export function isFileError(error: unknown): error is FileError {
  return error instanceof Error && "code" in error && "syscall" in error && String(error.code) in reasons;
}

/** "there is no such file"; for other errors their own message. */
export function fileReason(error: unknown): string {
  if (isFileError(error)) return reasons[error.code] ?? error.code;
  return error instanceof Error ? error.message : String(error);
}
