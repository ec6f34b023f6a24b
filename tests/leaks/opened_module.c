/* Data that is set, data that is zero, and a static local. */
static void *set[10] = {set}, *zero[10];

void *put(int number, void *block);
void *put(int number, void *block) {
  static void *local[10];
  void **where = number < 10 ? set : number < 20 ? zero : local;
  where[number % 10] = block;
  return where;
}
