package shop;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;

/** Whose hands a request's calls are put into. */
interface Hand {
  /** Calls at a time, where threads are shared. */
  int THREADS = 4;

  Future<String> give(Callable<String> call) throws Exception;

  static Hand of(String name) throws Exception {
    switch (name) {
      case "servlet":
      case "virtual-own": return call -> {
        FutureTask<String> now = new FutureTask<>(call);
        now.run();
        return now;
      };
      case "threads": return call -> {
        FutureTask<String> task = new FutureTask<>(call);
        new Thread(task).start();
        return task;
      };
      case "executor": return Executors.newFixedThreadPool(THREADS)::submit;
      case "virtual": return virtualThreads(name)::submit;
      default: throw new IllegalArgumentException(name);
    }
  }

  /** A virtual thread for each task; null where `name` asks for none. Compiled by a JDK that does not have them yet. */
  static ExecutorService virtualThreads(String name) throws ReflectiveOperationException {
    return name.startsWith("virtual") ? (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null) : null;
  }

  /** All of them side by side; what each of them returned, in their order. */
  default List<String> all(List<Callable<String>> calls) throws Exception {
    List<Future<String>> given = new ArrayList<>();
    for (Callable<String> call : calls) given.add(give(call));
    List<String> answers = new ArrayList<>();
    for (Future<String> each : given) answers.add(each.get());
    return answers;
  }
}
