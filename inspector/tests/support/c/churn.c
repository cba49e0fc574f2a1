// Namespaces that come and go at random, as fast as the system calls do it, for the tests of what watches them.
//
//   churn random SEED OPERATIONS   random clone, unshare, setns, exec, exit and kill over some dozens of processes
//   churn cycle KIND TIMES         a namespace of this kind made and gone again, so many times
//   churn restart TIMES EVERY_US   an init and a member in namespaces of their own, ended and begun again
//   churn forks PER_SECOND         plain children, until it is ended
//   churn pair FLAGS               a parent and its child in new namespaces, by clone's flags for these; prints the parent
//   churn single FLAGS             the same without the child
//   churn join PID                 goes into the network of that process, and stays
//   churn hop PID MILLISECONDS     threads that do so and come back, or end there, or do the same in a network of their own
//
// Says "ready", waits for a line, does it, says "quiet", and waits for its input's end. Everything that it made is gone then.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

enum { SLOTS = 48 };

static const int KINDS[] = {CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID,
                            CLONE_NEWNET, CLONE_NEWUSER, CLONE_NEWCGROUP, CLONE_NEWTIME};
static const char *const NAMES[] = {"mnt", "uts", "ipc", "pid", "net", "user", "cgroup", "time"};

static uint64_t seed;

static uint32_t any(uint32_t below) {
  // xorshift64*
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return (uint32_t)((seed * 0x2545F4914F6CDD1DULL) >> 33) % below;
}

static void fail(const char *what) {
  fprintf(stderr, "churn: %s: %s\n", what, strerror(errno));
  exit(1);
}

// fork() with namespaces.
static pid_t make(int flags) {
  return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

struct slot {
  pid_t pid;
  int order;  // what it is to do
  int done;   // that it has
};
static struct slot slots[SLOTS];

struct order {
  char what;
  int flags;
  pid_t pid;
};

static void *hop(void *flags) {
  // As a network plugin: a thread elsewhere than its process, for a moment or for good.
  if (unshare((int)(intptr_t)flags) != 0) return NULL;
  if ((intptr_t)flags & CLONE_NEWUTS) pause();
  return NULL;
}

static void obey(int in, int out, char *self) {
  // Its dead are nobody's to wait for. A zombie that stays would keep the end of a PID namespace waiting that it was born
  // into, and that of the init there with it.
  signal(SIGCHLD, SIG_IGN);
  struct order order;
  for (;;) {
    ssize_t got = read(in, &order, sizeof order);
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof order) _exit(0);
    switch (order.what) {
    case 'u':
      (void)!unshare(order.flags);
      break;
    case 's': {
      int pidfd = (int)syscall(SYS_pidfd_open, order.pid, 0);
      if (pidfd >= 0) {
        (void)!setns(pidfd, order.flags);
        close(pidfd);
      }
      break;
    }
    case 'f': {
      // A child that does nothing, and ends with its parent.
      if (make(0) == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(in);
        close(out);
        for (;;) pause();
      }
      break;
    }
    case 't': {
      pthread_t thread;
      if (pthread_create(&thread, NULL, hop, (void *)(intptr_t)order.flags) == 0) pthread_detach(thread);
      break;
    }
    case 'e': {
      char a[16], b[16];
      snprintf(a, sizeof a, "%d", in);
      snprintf(b, sizeof b, "%d", out);
      char *argv[] = {"churn", "obey", a, b, NULL};
      execv(self, argv);
      break;
    }
    case 'x':
      _exit(order.flags & 0xff);
    }
    char done = 1;
    if (write(out, &done, 1) != 1) _exit(0);
  }
}

static void begin(struct slot *slot, int flags) {
  int orders[2], dones[2];
  if (pipe(orders) || pipe(dones)) fail("pipe");
  pid_t pid = make(flags);
  // The kernel takes dead network namespaces apart in its own time, and may have no room until then.
  if (pid < 0) pid = make(0);
  if (pid < 0) fail("clone");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The ends of others', and of its own what is not its.
    for (int i = 0; i < SLOTS; i++) {
      if (slots[i].pid) {
        close(slots[i].order);
        close(slots[i].done);
      }
    }
    close(orders[1]);
    close(dones[0]);
    obey(orders[0], dones[1], "/proc/self/exe");
  }
  close(orders[0]);
  close(dones[1]);
  *slot = (struct slot){pid, orders[1], dones[0]};
}

static void close_slot(pid_t pid) {
  for (int i = 0; i < SLOTS; i++) {
    if (slots[i].pid != pid) continue;
    close(slots[i].order);
    close(slots[i].done);
    slots[i].pid = 0;
  }
}

static void reap(void) {
  pid_t pid;
  while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) close_slot(pid);
}

// Whoever else dies meanwhile is reaped, too: the end of the init of a PID namespace waits for all that are in it, and the
// orphans among them are this process's.
static void end(struct slot *slot) {
  pid_t wanted = slot->pid, pid;
  kill(wanted, SIGKILL);
  while (slot->pid == wanted && (pid = waitpid(-1, NULL, 0)) > 0) close_slot(pid);
}

static int tell(struct slot *slot, struct order order) {
  if (write(slot->order, &order, sizeof order) != sizeof order) return 0;
  char done;
  return read(slot->done, &done, 1) == 1;
}

static int some_kinds(void) {
  int flags = 0;
  for (uint32_t n = 1 + any(3); n > 0; n--) flags |= KINDS[any(7)];
  return flags;
}

static void churn(unsigned long operations) {
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (unsigned long i = 0; i < operations; i++) {
    struct slot *slot = &slots[any(SLOTS)];
    if ((i & 31) == 0) reap();
    if (!slot->pid) {
      begin(slot, any(3) ? some_kinds() : 0);
      continue;
    }
    int alive = 1;
    switch (any(9)) {
    case 0:
    case 1:
      end(slot);
      break;
    case 2:
      // PID and time namespaces are its children's, the others its own.
      alive = tell(slot, (struct order){'u', some_kinds() & ~CLONE_NEWUSER, 0});
      break;
    case 3:
    case 4: {
      struct slot *other = &slots[any(SLOTS)];
      if (other->pid && other != slot)
        alive = tell(slot, (struct order){'s', KINDS[1 + any(4)], other->pid});
      break;
    }
    case 5:
      alive = tell(slot, (struct order){'f', 0, 0});
      break;
    case 6:
      alive = tell(slot, (struct order){'t', any(2) ? CLONE_NEWUTS : CLONE_NEWIPC, 0});
      break;
    case 7:
      alive = tell(slot, (struct order){'e', 0, 0});
      break;
    case 8:
      tell(slot, (struct order){'x', (int)any(256), 0});
      alive = 0;
      break;
    }
    if (!alive) end(slot);
  }
  reap();
}

static void cycle(const char *name, unsigned long times) {
  int flag = 0;
  for (int i = 0; i < 8; i++)
    if (strcmp(name, NAMES[i]) == 0) flag = KINDS[i];
  for (unsigned long i = 0; i < times; i++) {
    // There is no clone() into a time namespace; of the others one is as good as the other.
    int by_unshare = flag == CLONE_NEWTIME || (i & 1);
    pid_t pid = make(by_unshare ? 0 : flag);
    if (pid < 0) fail("clone");
    if (pid == 0) _exit(by_unshare && unshare(flag) != 0);
    int status;
    waitpid(pid, &status, 0);
    if (status) fail("a child");
  }
}

static void rest(unsigned long us) {
  struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  nanosleep(&time, NULL);
}

static void restart(unsigned long times, unsigned long every_us) {
  for (unsigned long i = 0; i < times; i++) {
    pid_t init = make(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS);
    if (init < 0) fail("clone");
    if (init == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (make(0) == 0) {
        for (;;) pause();
      }
      for (;;) pause();
    }
    rest(every_us);
    kill(init, SIGKILL);
    waitpid(init, NULL, 0);
  }
}

static void forks(unsigned long per_second) {
  for (;;) {
    // In gusts of ten: a sleep is longer than it says.
    for (int i = 0; i < 10; i++) {
      pid_t pid = make(0);
      if (pid == 0) _exit(0);
      waitpid(pid, NULL, 0);
    }
    rest(10 * 1000000 / per_second / 2);
    if (getppid() == 1) _exit(0);
  }
}

static pid_t keep(int flags, int with_child) {
  pid_t pid = make(flags);
  if (pid < 0) fail("clone");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (with_child && make(0) == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  return pid;
}

static void join(pid_t pid) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0 || setns(pidfd, CLONE_NEWNET) != 0) fail("setns");
  close(pidfd);
}

static pid_t hop_to;
static unsigned long hop_us;

static void *there(void *back) {
  int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0) fail("open");
  if (hop_to) {
    join(hop_to);
  } else if (unshare(CLONE_NEWNET) != 0) {
    fail("unshare");
  }
  // What a plug-in is there for.
  int link = socket(AF_INET, SOCK_DGRAM, 0);
  if (link < 0) fail("socket");
  rest(hop_us);
  close(link);
  if (back && setns(home, CLONE_NEWNET) != 0) fail("setns");
  close(home);
  return NULL;
}

static void hops(pid_t pid, unsigned long milliseconds) {
  hop_us = milliseconds * 1000;
  for (int i = 0; i < 4; i++) {
    hop_to = i & 1 ? pid : 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, there, i & 2 ? &hop_to : NULL)) fail("pthread_create");
    pthread_join(thread, NULL);
  }
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "obey") == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // It is another program now: that is done.
    char done = 1;
    if (write(atoi(argv[3]), &done, 1) != 1) return 1;
    obey(atoi(argv[2]), atoi(argv[3]), "/proc/self/exe");
  }
  if (argc < 3) {
    fprintf(stderr, "churn: see the source\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  puts("ready");
  fflush(stdout);
  char line[16];
  if (!fgets(line, sizeof line, stdin)) return 1;
  unsigned long number = strtoul(argv[argc - 1], NULL, 0);
  if (strcmp(argv[1], "random") == 0) {
    seed = strtoull(argv[2], NULL, 0) * 0x9E3779B97F4A7C15ULL + 1;
    churn(number);
  } else if (strcmp(argv[1], "cycle") == 0) {
    cycle(argv[2], number);
  } else if (strcmp(argv[1], "restart") == 0) {
    restart(strtoul(argv[2], NULL, 0), number);
  } else if (strcmp(argv[1], "forks") == 0) {
    forks(number);
  } else if (strcmp(argv[1], "pair") == 0 || strcmp(argv[1], "single") == 0) {
    printf("%d\n", keep((int)number, argv[1][0] == 'p'));
  } else if (strcmp(argv[1], "join") == 0) {
    join((pid_t)number);
  } else if (strcmp(argv[1], "hop") == 0) {
    hops((pid_t)strtoul(argv[2], NULL, 0), number);
  }
  puts("quiet");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
  }
  for (int i = 0; i < SLOTS; i++)
    if (slots[i].pid) end(&slots[i]);
  reap();
  return 0;
}
