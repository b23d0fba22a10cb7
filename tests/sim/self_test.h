/* self_test.h: the checkers checked: known-good and known-bad histories, and random ones through both. */
#ifndef SIM_SELF_TEST_H
#define SIM_SELF_TEST_H

/* Prints a line per case; returns the exit code. */
int self_test(void);
/* self_test_many.c's part of it. */
void self_test_many(void);

#endif
