package reflection_trl;

/** A stand-in, on the side of the tests, for an object of the answer. It equals other objects of the answer only. */
public class Remote {
    /** Marks the constructor that makes a stand-in for an object that is there. */
    public static final class Existing {}

    public static final Existing EXISTING = new Existing();

    final int number;

    public Remote(Existing existing, int number) {
        this.number = number;
    }

    @Override
    public boolean equals(Object other) {
        // Objects of a class that the tests do not name are not compared: both may stand in place of data
        if (getClass() == Remote.class) return isSame(other);
        return other instanceof Remote
            && (number == ((Remote) other).number || (Boolean) Judge.call("java.lang.Object", "equals(java.lang.Object)", this, other));
    }

    /** Whether it stands for the same object. */
    protected final boolean isSame(Object other) {
        return other instanceof Remote && number == ((Remote) other).number;
    }

    @Override
    public int hashCode() {
        return (Integer) Judge.call("java.lang.Object", "hashCode()", this);
    }

    @Override
    public String toString() {
        return (String) Judge.call("java.lang.Object", "toString()", this);
    }
}
