// What the tests need done in the kernel and no packaged tool does without leaving a process in the way.
//
//   helper new KINDS CMD...       CMD in new namespaces; nothing else of ours is in them
//   helper join PID KINDS CMD...  CMD in the namespaces of PID
//   helper stray                  a thread in a network namespace of its own
//   helper zombie KINDS           a process in new namespaces, dead and not reaped; prints its pid
//   helper later KINDS            a process whose children will be in new namespaces (pid, time), and that has none
//   helper hold PID KINDS         a process that keeps the namespaces of PID open and is in none of them
//   helper socket                 a process with a socket of a network namespace that it has left; prints its inode
//   helper leaderless             a process whose main thread has exited
//   helper crowd N                N processes that sleep
//   helper churn                  processes that come and go as fast as they can
//   helper comm HEX               a process whose comm is these bytes
//
// KINDS: a list like net,ipc. `new` and `join` print CMD's pid, the others "ready" or as said. What `new`, `join`
// and `crowd` start dies with them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const struct {
  const char *name;
  int flag;
} kinds[] = {{"user", CLONE_NEWUSER}, {"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
             {"net", CLONE_NEWNET},   {"pid", CLONE_NEWPID},       {"mnt", CLONE_NEWNS}, {"time", CLONE_NEWTIME}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void die(const char *what) {
  fprintf(stderr, "helper: %s: %s\n", what, strerror(errno));
  _exit(1);
}

static int flags_of(char *list) {
  int flags = 0;
  for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
    int found = 0;
    for (int i = 0; i < KINDS; i++)
      if (!strcmp(kinds[i].name, name))
        found = kinds[i].flag;
    if (!found) {
      errno = EINVAL;
      die(name);
    }
    flags |= found;
  }
  return flags;
}

__attribute__((noreturn)) static void wait_forever(void) {
  for (;;)
    pause();
}

static void say(const char *what) {
  puts(what);
  fflush(stdout);
}

static char **command;
static int joined[KINDS];

static int made;

static void put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0)
    die(path);
  close(fd);
}

/* Whose uid or gid is none in its own user namespace may not make another below it. */
static void become_root_inside(void) {
  put("/proc/self/setgroups", "deny");
  put("/proc/self/uid_map", "0 0 1");
  put("/proc/self/gid_map", "0 0 1");
}

static int run_command(void *unused) {
  (void)unused;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (made & CLONE_NEWUSER)
    become_root_inside();
  for (int i = 0; i < KINDS; i++)
    if (joined[i] > 0 && kinds[i].flag != CLONE_NEWPID && setns(joined[i], kinds[i].flag) < 0)
      die("setns");
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(null, 0);
  dup2(null, 1);
  for (int i = 0; i < KINDS; i++)
    if (joined[i] > 0)
      close(joined[i]);
  execvp(command[0], command);
  die(command[0]);
  return 1;
}

static char stack[64 * 1024] __attribute__((aligned(16)));

static int start(int flags) {
  made = flags;
  int pid = clone(run_command, stack + sizeof stack, flags | SIGCHLD, NULL);
  if (pid < 0)
    die("clone");
  // Only the child may stay in what was joined or opened.
  for (int i = 0; i < KINDS; i++)
    if (joined[i] > 0)
      close(joined[i]);
  printf("%d\n", pid);
  fflush(stdout);
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int open_namespace(const char *pid, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/ns/%s", pid, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    die(path);
  return fd;
}

static int join_and_start(const char *pid, int flags) {
  for (int i = 0; i < KINDS; i++) {
    if (!(flags & kinds[i].flag))
      continue;
    joined[i] = open_namespace(pid, kinds[i].name);
    // Decides where children are born; this process itself stays where it is.
    if (kinds[i].flag == CLONE_NEWPID && setns(joined[i], CLONE_NEWPID) < 0)
      die("setns pid");
  }
  return start(0);
}

__attribute__((noreturn)) static void hold(const char *pid, int flags) {
  for (int i = 0; i < KINDS; i++)
    if (flags & kinds[i].flag)
      open_namespace(pid, kinds[i].name);
  say("ready");
  wait_forever();
}

__attribute__((noreturn)) static void leave_socket(void) {
  struct stat made;
  int old = open_namespace("self", "net");
  if (unshare(CLONE_NEWNET) < 0 || stat("/proc/self/ns/net", &made) < 0 || socket(AF_UNIX, SOCK_STREAM, 0) < 0 ||
      setns(old, CLONE_NEWNET) < 0)
    die("socket");
  close(old);
  printf("%lu\n", (unsigned long)made.st_ino);
  fflush(stdout);
  wait_forever();
}

static int end(void *unused) {
  (void)unused;
  return 0;
}

__attribute__((noreturn)) static void zombie(int flags) {
  int pid = clone(end, stack + sizeof stack, flags | SIGCHLD, NULL);
  siginfo_t info;
  if (pid < 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
    die("zombie");
  printf("%d\n", pid);
  fflush(stdout);
  wait_forever();
}

static void *wander(void *unused) {
  (void)unused;
  if (unshare(CLONE_NEWNET) < 0)
    die("unshare net");
  say("ready");
  wait_forever();
}

static void *stay(void *unused) {
  (void)unused;
  usleep(100 * 1000);
  say("ready");
  wait_forever();
}

static int nap(void *unused) {
  (void)unused;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  wait_forever();
}

static void crowd(int count) {
  enum { STACK = 8192 };
  char *stacks = mmap(NULL, (size_t)count * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stacks == MAP_FAILED)
    die("mmap");
  // One address space for all: a sleeper costs a task and little else.
  for (int i = 0; i < count; i++)
    if (clone(nap, stacks + (size_t)(i + 1) * STACK, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, NULL) < 0)
      die("clone");
  say("ready");
  wait_forever();
}

static void churn(void) {
  say("ready");
  for (;;) {
    int pid = fork();
    if (!pid)
      _exit(0);
    if (pid > 0)
      waitpid(pid, NULL, 0);
  }
}

static void named(const char *hex) {
  char name[16] = {0};
  for (int i = 0; i < 15 && hex[2 * i] && hex[2 * i + 1]; i++) {
    char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
    name[i] = (char)strtol(digits, NULL, 16);
  }
  prctl(PR_SET_NAME, name);
  say("ready");
  wait_forever();
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  pthread_t thread;
  if (!strcmp(what, "new") && argc > 3) {
    command = argv + 3;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return start(flags_of(argv[2]));
  }
  if (!strcmp(what, "join") && argc > 4) {
    command = argv + 4;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return join_and_start(argv[2], flags_of(argv[3]));
  }
  if (!strcmp(what, "stray")) {
    pthread_create(&thread, NULL, wander, NULL);
    wait_forever();
  }
  if (!strcmp(what, "zombie") && argc > 2)
    zombie(flags_of(argv[2]));
  if (!strcmp(what, "later") && argc > 2) {
    if (unshare(flags_of(argv[2])) < 0)
      die("unshare");
    say("ready");
    wait_forever();
  }
  if (!strcmp(what, "hold") && argc > 3)
    hold(argv[2], flags_of(argv[3]));
  if (!strcmp(what, "socket"))
    leave_socket();
  if (!strcmp(what, "leaderless")) {
    pthread_create(&thread, NULL, stay, NULL);
    pthread_exit(NULL);
  }
  if (!strcmp(what, "crowd") && argc > 2)
    crowd(atoi(argv[2]));
  if (!strcmp(what, "churn"))
    churn();
  if (!strcmp(what, "comm") && argc > 2)
    named(argv[2]);
  fprintf(stderr, "helper: see the top of helper.c for the commands\n");
  return 2;
}
