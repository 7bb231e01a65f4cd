/* Threads that each allocate from an arena of their own and keep it: glibc's 64 MiB blocks; or one thread that frees. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *keep(void *unused) {
    for (int n = 0; n < 40; n++) memset(malloc(60000), 1, 60000);
    for (;;) sleep(3600);
    return unused;
}

int main(int count, char **words) {
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (count > 1 && !strcmp(words[1], "arenas")) {
            pthread_t one;
            pthread_create(&one, NULL, keep, NULL);
            sleep(5);
        } else {
            char *some = malloc(1 << 20);
            memset(some, 1, 1 << 20);
            free(some);
            usleep(100000);
        }
    }
}
