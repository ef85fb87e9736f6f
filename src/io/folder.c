#include "io/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

struct cla_folder {
    atomic_uint refs;
    int fd;
    atomic_bool by_name; /* the kernel has no openat2(), or does not let us use it */
};

int cla_folder_open(struct cla_folder **out, const char *path)
{
    struct cla_folder *folder = cla_mem_zalloc(sizeof *folder);

    if (folder == NULL)
        return -CLA_ENOMEM;
    folder->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0) {
        cla_mem_free(folder);
        return -CLA_EIO;
    }
    atomic_init(&folder->refs, 1);
    *out = folder;
    return 0;
}

struct cla_folder *cla_folder_ref(struct cla_folder *folder)
{
    atomic_fetch_add_explicit(&folder->refs, 1, memory_order_relaxed);
    return folder;
}

void cla_folder_put(struct cla_folder *folder)
{
    if (folder == NULL || atomic_fetch_sub_explicit(&folder->refs, 1, memory_order_acq_rel) != 1)
        return;
    close(folder->fd);
    cla_mem_free(folder);
}

static enum cla_folder_kind kind_of_errno(void)
{
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO ? CLA_FOLDER_ERROR
                                                                                 : CLA_FOLDER_NONE;
}

/* Takes over 'fd', or -1: errno says why. */
static enum cla_folder_kind look(int fd, struct cla_folder_file *file)
{
    struct stat st;
    enum cla_folder_kind kind = CLA_FOLDER_NONE;

    if (fd < 0)
        return kind_of_errno();
    if (fstat(fd, &st) != 0)
        kind = CLA_FOLDER_ERROR;
    else if (S_ISDIR(st.st_mode))
        kind = CLA_FOLDER_FOLDER;
    else if (S_ISREG(st.st_mode))
        kind = CLA_FOLDER_FILE;
    if (kind != CLA_FOLDER_FILE) {
        close(fd);
        return kind;
    }
    *file = (struct cla_folder_file){.fd = fd,
                                     .size = (uint64_t)st.st_size,
                                     .modified_s = st.st_mtim.tv_sec,
                                     .modified_ns = (uint32_t)st.st_mtim.tv_nsec};
    return kind;
}

/* Without O_NONBLOCK to open a FIFO could wait for ever. */
#define FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* Where the descriptor's file is; false: nobody knows. */
static bool where(int fd, char path[PATH_MAX])
{
    char link[32];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX);
    if (n <= 0 || n >= PATH_MAX)
        return false;
    path[n] = '\0';
    return true;
}

static bool is_inside(const struct cla_folder *folder, int fd)
{
    char outer[PATH_MAX], inner[PATH_MAX];
    size_t n;

    if (!where(folder->fd, outer) || !where(fd, inner))
        return false;
    n = strlen(outer);
    if (n == 1)
        return true; /* it is the root */
    return strncmp(outer, inner, n) == 0 && (inner[n] == '/' || inner[n] == '\0');
}

/* O_PATH first: it has no effect on what is not to be opened, and what was looked at is what is
 * opened then. */
enum cla_folder_kind cla_folder_find_by_name(struct cla_folder *folder, const char *path,
                                             struct cla_folder_file *file)
{
    int at = openat(folder->fd, path, O_PATH | O_CLOEXEC), fd = -1;
    char link[32];

    file->fd = -1;
    if (at < 0)
        return kind_of_errno();
    if (is_inside(folder, at)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        fd = open(link, FLAGS);
    } else {
        errno = EXDEV;
    }
    close(at);
    return look(fd, file);
}

enum cla_folder_kind cla_folder_find(struct cla_folder *folder, const char *path,
                                     struct cla_folder_file *file)
{
    const struct open_how how = {.flags = FLAGS,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd;

    file->fd = -1;
    if (!atomic_load_explicit(&folder->by_name, memory_order_relaxed)) {
        do
            fd = syscall(SYS_openat2, folder->fd, path, &how, sizeof how);
        while (fd < 0 && errno == EAGAIN); /* a rename raced with it */
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
            return look((int)fd, file);
        atomic_store_explicit(&folder->by_name, true, memory_order_relaxed);
    }
    return cla_folder_find_by_name(folder, path, file);
}
