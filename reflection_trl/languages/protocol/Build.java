import java.io.*;
import java.lang.reflect.*;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.*;
import java.util.zip.*;
import javax.tools.*;

/**
 * Compiles an answer, stand-ins for those of its classes that the tests name, and the tests.
 *
 * `java Build.java CLASSPATH OPEN ENTRY TYPES NAMES...` reads program.java, tests.java and the classes of the protocol; writes
 * answer.jar for the side of the answer, and tests/ for the side of the tests. `OPEN` is the class that the tests continue, or `-`;
 * `ENTRY` the function or class under test; `TYPES`, with commas between them, are names that the tests have where only a class can
 * stand.
 */
public class Build {
    private static final JavaCompiler COMPILER = ToolProvider.getSystemJavaCompiler();
    private static Set<String> words, types;
    /** Methods that the tests have themselves: an overload of the answer's could fit their calls better. */
    private static final Set<String> written = new HashSet<>();
    private static String entry;
    private static ClassLoader loader;
    /** Methods that data has: an object of a class that the tests do not name lacks them (`f(1).contains(2)`). */
    private static final Set<String> OF_DATA = Stream.of(String.class, List.class, Map.class, Set.class, Deque.class, Optional.class, Stream.class, Iterator.class, Comparable.class, Number.class, Object.class)
        .flatMap(type -> Arrays.stream(type.getMethods())).map(Method::getName).collect(Collectors.toSet());

    public static void main(String[] arguments) throws Exception {
        String path = arguments[0], open = arguments[1];
        entry = arguments[2];
        types = new HashSet<>(List.of(arguments[3].split(",")));
        words = new HashSet<>(Arrays.asList(arguments).subList(4, arguments.length));
        compile(path, "answer", source("program.java"));
        compile(path, "answer-side", source("Wire.java"), source("Serve.java"));
        archive("answer.jar", "answer", "answer-side");
        // A loader of its own for the answer, so that classes of a library are not taken for the answer's
        ClassLoader libraries = new URLClassLoader(urls(path.split(":")), ClassLoader.getPlatformClassLoader());
        loader = new URLClassLoader(urls("answer"), libraries);
        List<JavaFileObject> sources = new ArrayList<>(List.of(source("Wire.java"), source("Remote.java"), source("Judge.java"), source("tests.java")));
        Map<Class<?>, String> stubs = new LinkedHashMap<>();
        Set<String> own = new HashSet<>();
        for (Matcher found = Pattern.compile("\\b(?:class|interface|enum|record)\\s+(\\w+)").matcher(text("tests.java")); found.find(); ) own.add(found.group(1));
        for (Matcher found = Pattern.compile("[\\w>\\]]\\s+(\\w+)\\s*\\([^;{}]*\\)\\s*(?:throws\\s[\\w\\s.,]*)?\\{").matcher(text("tests.java")); found.find(); ) written.add(found.group(1));
        for (String name : classes("answer")) {
            Class<?> type = Class.forName(name, false, loader);
            boolean continued = name.equals(open);
            if (!continued && types.contains(name) && !own.contains(name) && !ofAnswer(type)) {
                System.err.println("tests.java:1: error: the tests name " + name + ", a class of the library, and the answer defines it: name it as the entry point");
                Runtime.getRuntime().halt(1);
            }
            if (continued || (words.contains(name) && !own.contains(name) && ofAnswer(type))) stub(type, continued ? name + "__Answer" : name, stubs);
        }
        stubs.forEach((type, stub) -> sources.add(new Text(type.getSimpleName() + "__stub.java", stub)));
        compile(path, "tests", sources.toArray(new JavaFileObject[0]));
    }

    // Stand-ins

    /** Whether a class is the answer's own: what the library calls so is never taken from an answer. */
    private static boolean ofAnswer(Class<?> type) {
        if (type.getClassLoader() != loader || type.getName().contains("$")) return false;
        if (type.getName().equals(entry)) return true;
        for (String place : List.of("java.lang.", "java.util.", "java.util.function.", "java.util.stream.", "java.math.", "java.io.", "java.text.", "java.time.", "org.javatuples.")) {
            try {
                Class.forName(place + type.getName(), false, loader);
                return false;
            } catch (ClassNotFoundException | LinkageError error) {
            }
        }
        return true;
    }

    private static void stub(Class<?> type, String name, Map<Class<?>, String> stubs) {
        if (stubs.containsKey(type)) return;
        stubs.put(type, "");
        StringBuilder text = new StringBuilder();
        String variables = variables(type.getTypeParameters());
        if (type.isEnum()) {
            String constants = Arrays.stream(type.getDeclaredFields()).filter(Field::isEnumConstant).map(Field::getName).collect(Collectors.joining(", "));
            text.append("enum ").append(name).append(" { ").append(constants).append(" }");
        } else if (type.isInterface()) {
            text.append("interface ").append(name).append(variables).append(" {");
            for (Method method : type.getDeclaredMethods())
                if (Modifier.isAbstract(method.getModifiers()) && known(method, stubs)) text.append(head(method, method.getName(), "")).append(";");
            text.append(" }");
        } else if (Throwable.class.isAssignableFrom(type)) {
            Class<?> parent = type.getSuperclass();
            if (parent.getClassLoader() == loader) stub(parent, parent.getName(), stubs);
            boolean texts = parent.getClassLoader() == loader || Arrays.stream(parent.getConstructors()).anyMatch(one -> Arrays.equals(one.getParameterTypes(), new Class<?>[] {String.class}));
            text.append("class ").append(name).append(" extends ").append(named(parent)).append(" { public ").append(name).append("() {} public ")
                .append(name).append("(String text) { ").append(texts ? "super(text);" : "").append(" } }");
        } else {
            object(type, name, variables, text, stubs);
        }
        stubs.put(type, text.toString());
    }

    private static void object(Class<?> type, String name, String variables, StringBuilder text, Map<Class<?>, String> stubs) {
        Class<?> parent = type.getSuperclass();
        boolean derived = ofAnswer(parent);
        if (derived) stub(parent, parent.getName(), stubs);
        text.append("class ").append(name).append(variables).append(" extends ").append(derived ? named(type.getGenericSuperclass()) : "reflection_trl.Remote");
        List<String> interfaces = new ArrayList<>();
        for (Type one : type.getGenericInterfaces()) {
            Class<?> raw = raw(one);
            if (ofAnswer(raw)) stub(raw, raw.getName(), stubs);
            else if (raw != Comparable.class && raw != Iterable.class) continue;
            interfaces.add(named(one));
        }
        if (!interfaces.isEmpty()) text.append(" implements ").append(String.join(", ", interfaces));
        text.append(" { protected ").append(name).append("(reflection_trl.Remote.Existing existing, int number) { super(existing, number); }");
        boolean plain = false;
        for (Constructor<?> one : type.getDeclaredConstructors()) {
            if (one.isSynthetic() || !known(one, stubs)) continue;
            plain |= one.getParameterCount() == 0;
            text.append(head(one, name, "")).append(" { super(reflection_trl.Remote.EXISTING, (Integer) ").append(call(type, one, "null")).append("); }");
        }
        if (!plain) text.append(" protected ").append(name).append("() { super(reflection_trl.Remote.EXISTING, -1); }");
        boolean continued = name.endsWith("__Answer");
        if (!continued && !types.contains(type.getName())) text.append(" public boolean equals(Object other) { return isSame(other); }");
        for (Method one : type.getDeclaredMethods()) {
            int modifiers = one.getModifiers();
            if (one.isSynthetic() || (Modifier.isPrivate(modifiers) && !continued) || !known(one, stubs)) continue;
            if (one.getName().equals("main") && one.getParameterCount() == 1 || Set.of("equals", "hashCode", "toString").contains(one.getName())) continue;
            if (!words.contains(one.getName()) && interfaces.isEmpty()) continue;
            if (continued && written.contains(one.getName()) && !one.getName().equals(entry)) continue;
            if (!continued && !types.contains(type.getName()) && OF_DATA.contains(one.getName())) continue;
            boolean fixed = Modifier.isStatic(modifiers);
            String result = one.getReturnType() == void.class ? "" : "return (" + boxed(one.getGenericReturnType()) + ") ";
            String asked = call(type, one, fixed ? "null" : "this");
            if (isFunction(one.getReturnType())) asked = "reflection_trl.Judge.function(" + one.getReturnType().getName() + ".class, " + asked + ")";
            text.append(head(one, one.getName(), fixed ? "static " : "")).append(" { ").append(result).append(asked).append("; }");
        }
        text.append(" }");
    }

    /** Whether a type of the JDK is that of functions, which a lambda of the answer may be. */
    private static boolean isFunction(Class<?> type) {
        return type.isInterface() && type.getClassLoader() != loader && type.isAnnotationPresent(FunctionalInterface.class);
    }

    private static boolean known(Executable one, Map<Class<?>, String> stubs) {
        List<Class<?>> types = new ArrayList<>(List.of(one.getParameterTypes()));
        if (one instanceof Method) types.add(((Method) one).getReturnType());
        for (Class<?> type : types) {
            while (type.isArray()) type = type.getComponentType();
            if (type.getClassLoader() != loader) continue;
            if (!ofAnswer(type)) return false;
            stub(type, type.getName(), stubs);
        }
        return true;
    }

    private static String call(Class<?> type, Executable one, String self) {
        StringJoiner names = new StringJoiner(",", "(", ")");
        for (Class<?> parameter : one.getParameterTypes()) names.add(parameter.getName());
        String method = (one instanceof Constructor ? "new" : one.getName()) + names;
        StringBuilder values = new StringBuilder();
        for (int place = 0; place < one.getParameterCount(); place++) values.append(place == 0 ? "" : ", ").append("a").append(place);
        return "reflection_trl.Judge.call(\"" + type.getName() + "\", \"" + method + "\", " + self + ", new Object[] {" + values + "})";
    }

    private static String head(Executable one, String name, String modifiers) {
        StringBuilder text = new StringBuilder(" public ").append(modifiers).append(variables(one.getTypeParameters())).append(" ");
        if (one instanceof Method) text.append(named(((Method) one).getGenericReturnType())).append(" ");
        text.append(name).append("(");
        Type[] parameters = one.getGenericParameterTypes();
        for (int place = 0; place < parameters.length; place++) {
            String type = named(parameters[place]);
            if (one.isVarArgs() && place == parameters.length - 1) type = type.substring(0, type.length() - 2) + "...";
            text.append(place == 0 ? "" : ", ").append(type).append(" a").append(place);
        }
        text.append(")");
        List<String> thrown = Arrays.stream(one.getExceptionTypes()).filter(type -> type.getClassLoader() != loader || words.contains(type.getName())).map(Build::named).collect(Collectors.toList());
        return thrown.isEmpty() ? text.toString() : text.append(" throws ").append(String.join(", ", thrown)).toString();
    }

    private static String variables(TypeVariable<?>[] variables) {
        if (variables.length == 0) return "";
        return Arrays.stream(variables).map(one -> one.getName() + " extends " + Arrays.stream(one.getBounds()).map(Build::named).collect(Collectors.joining(" & "))).collect(Collectors.joining(", ", "<", ">"));
    }

    private static String named(Type type) {
        return type.getTypeName().replace('$', '.');
    }

    private static String boxed(Type type) {
        return type instanceof Class && ((Class<?>) type).isPrimitive() ? java.lang.invoke.MethodType.methodType((Class<?>) type).wrap().returnType().getName() : named(type);
    }

    private static Class<?> raw(Type type) {
        return (Class<?>) (type instanceof ParameterizedType ? ((ParameterizedType) type).getRawType() : type);
    }

    // Files

    private static void compile(String path, String into, JavaFileObject... sources) throws IOException {
        Files.createDirectories(Path.of(into));
        StringWriter said = new StringWriter();
        List<String> options = List.of("-nowarn", "-proc:none", "-Xmaxerrs", "5", "-encoding", "UTF-8", "-cp", path, "-d", into);
        boolean done = COMPILER.getTask(said, null, null, options, null, List.of(sources)).call();
        if (done) return;
        System.err.print(said);
        System.err.flush();
        Runtime.getRuntime().halt(1);
    }

    private static String text(String file) throws IOException {
        return Files.readString(Path.of(file));
    }

    private static JavaFileObject source(String file) throws IOException {
        return new Text(file, text(file));
    }

    private static List<String> classes(String folder) throws IOException {
        try (Stream<Path> files = Files.list(Path.of(folder))) {
            return files.map(file -> file.getFileName().toString()).filter(name -> name.endsWith(".class") && !name.contains("$"))
                .map(name -> name.substring(0, name.length() - 6)).sorted().collect(Collectors.toList());
        }
    }

    private static URL[] urls(String... paths) throws IOException {
        List<URL> all = new ArrayList<>();
        for (String path : paths) all.add(Path.of(path).toUri().toURL());
        return all.toArray(new URL[0]);
    }

    private static void archive(String file, String... folders) throws IOException {
        try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(Path.of(file)))) {
            out.setLevel(0);
            for (String folder : folders) {
                try (Stream<Path> files = Files.walk(Path.of(folder))) {
                    for (Path one : files.filter(Files::isRegularFile).collect(Collectors.toList())) {
                        out.putNextEntry(new ZipEntry(Path.of(folder).relativize(one).toString()));
                        Files.copy(one, out);
                    }
                }
            }
        }
    }

    /** A source that need not be named for its public class. */
    private static final class Text extends SimpleJavaFileObject {
        private final String name, text;

        Text(String name, String text) {
            super(URI.create("string:///" + name), Kind.SOURCE);
            this.name = name;
            this.text = text;
        }

        @Override
        public String getName() {
            return name;
        }

        @Override
        public CharSequence getCharContent(boolean ignore) {
            return text;
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return true;
        }
    }
}
