/* self_test.h: does the reduction leave anything out? Short programs have the same outcomes with it and without. */
#ifndef EXPLORE_SELF_TEST_H
#define EXPLORE_SELF_TEST_H

/* Prints a line a program and "N passed, N failed"; returns the exit status. */
int self_test(void);

#endif
