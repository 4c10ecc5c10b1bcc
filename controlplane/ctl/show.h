// Prints the results of verbs for people.
#ifndef TP_CTL_SHOW_H
#define TP_CTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>

typedef void (*show_fn)(const json_t *result);

void show_status(const json_t *result); // show_status.c
void show_version(const json_t *result);
void show_reload(const json_t *result);
void show_drain(const json_t *result);
void show_allocations(const json_t *result); // show_allocations.c
void show_allocation(const json_t *result);
void show_killed(const json_t *result);
void show_workers(const json_t *result); // show_counters.c
void show_drops(const json_t *result);
void show_drops_all(const json_t *result); // those at zero too
void show_filter(const json_t *result);
void show_stats(const json_t *result); // show_stats.c
// With rates since `before`, a result of the same verb.
void show_stats_rates(const json_t *result, const json_t *before);
void show_explain(const json_t *result); // show_explain.c
void show_rooms(const json_t *result);   // show_sfu.c
void show_sessions(const json_t *result);
void show_session_killed(const json_t *result);
void show_why(const json_t *result);
void show_users(const json_t *result); // show_users.c
void show_user(const json_t *result);
void show_user_killed(const json_t *result);
void show_config(const json_t *result); // show_config.c

#endif
