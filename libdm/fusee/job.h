/* job.h: rounds that somebody owes off the request path: tombstones to be cleared, expired keys to be deleted. */
#ifndef FUSEE_JOB_H
#define FUSEE_JOB_H

#include "fusee/session.h"

/* Notes a job; runs it at once when too many wait. Inside a coroutine. */
void job_add(struct dm_session *session, uint64_t slot_address, uint64_t word);

/* Runs all jobs that wait. Inside a coroutine. */
void job_run_all(struct dm_session *session);

#endif
