/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

/**
 * struct error - why set-up code failed
 * @code: an errno value, 0 where none applies
 * @msg:  one sentence for the user, owned
 *
 * The last parameter of set-up code is a `struct error **`, which may be NULL when the caller
 * does not want the reason. Such a function answers -1 or NULL, and has then set *err.
 */
struct error {
	int code;
	char *msg;
};

/**
 * error_set() - make an error
 * @err:  where to put it; an error already there is freed first. May be NULL.
 * @code: errno value to remember, or 0
 * @fmt:  the sentence, without the text of @code: ": strerror(code)" is added when @code is not 0
 *
 * Return: always -1, so that callers can `return error_set(...)`.
 */
int error_set(struct error **err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * error_wrap() - put context before an error on its way up: "context: old message"
 * @err: as for error_set(); nothing happens when there is no error in it
 *
 * Return: always -1.
 */
int error_wrap(struct error **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** error_free() - free an error and set it to NULL; harmless on NULL */
void error_free(struct error **err);

/** error_msg() - the sentence of an error, never NULL */
const char *error_msg(const struct error *err);

/** error_move() - hand over @from to @to (which may be NULL: then it is freed); answers -1 */
int error_move(struct error **to, struct error **from);

#define cleanup_error __attribute__((cleanup(error_free)))

#endif
