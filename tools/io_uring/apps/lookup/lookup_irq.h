/* SPDX-License-Identifier: GPL-2.0 */
/* Interrupts of the device that has a file */
#ifndef LOOKUP_IRQ_H
#define LOOKUP_IRQ_H

/*
 * Return the number of interrupts so far of the device that @path is, or that has the file
 * system with @path. -1: the device has no interrupts of its own.
 */
long lookup_interrupts(const char *path);

#endif
